package main

import "fmt"

// mode is what is done about denied packets.
type mode string

const (
	modeEnforce mode = "enforce"
	modeObserve mode = "observe"
)

// String is pflag.Value's.
func (m *mode) String() string { return string(*m) }

// Set is pflag.Value's.
func (m *mode) Set(text string) error {
	switch known := mode(text); known {
	case modeEnforce, modeObserve:
		*m = known
		return nil
	default:
		return fmt.Errorf("%q is no mode: use %s or %s", text, modeEnforce, modeObserve)
	}
}

// Type is pflag.Value's.
func (m *mode) Type() string { return "mode" }
