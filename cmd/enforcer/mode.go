package main

import (
	"fmt"

	"github.com/apptier/apptier/api/v1alpha1"
)

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

// reported is the mode as nodes report it.
func (m *mode) reported() v1alpha1.EnforcerMode {
	if *m == modeObserve {
		return v1alpha1.EnforcerObserves
	}
	return v1alpha1.EnforcerEnforces
}
