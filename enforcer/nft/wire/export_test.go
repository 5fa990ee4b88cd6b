package wire

// Encode tells whether steps can be written when the kernel's sets are those that others add.
func Encode(table string, before, steps []Step) error {
	e := &encoder{table: table, sets: map[string]definition{}}
	for _, s := range before {
		if err := e.step(s); err != nil {
			return &UnsupportedError{s, err}
		}
	}
	_, err := encode(table, 1, e.sets, steps)
	return err
}
