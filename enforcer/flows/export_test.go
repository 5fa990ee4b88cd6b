package flows

// Naming has connections named until the function is called that it returns.
func (f *Flows) Naming() (done func()) {
	f.mu.Lock()
	return f.mu.Unlock
}
