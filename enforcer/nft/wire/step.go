package wire

import (
	"fmt"
	"strings"

	"sigs.k8s.io/knftables"
)

// Verb is what a step does to its object.
type Verb string

// The verbs that this package knows.
const (
	Add    Verb = "add"
	Flush  Verb = "flush"
	Delete Verb = "delete"
)

// Step is one step of a transaction.
type Step struct {
	Verb   Verb
	Object knftables.Object
}

// String names the step, such as "add element 10.0.0.1 to set node4".
func (s Step) String() string {
	switch o := s.Object.(type) {
	case *knftables.Table:
		return fmt.Sprintf("%s table %s", s.Verb, o.Name)
	case *knftables.Chain:
		return fmt.Sprintf("%s chain %s", s.Verb, o.Name)
	case *Rule:
		return fmt.Sprintf("%s rule %q of chain %s", s.Verb, o.Exprs, o.Chain)
	case *knftables.Rule:
		return fmt.Sprintf("%s rule %q of chain %s", s.Verb, o.Rule, o.Chain)
	case *knftables.Set:
		return fmt.Sprintf("%s set %s", s.Verb, o.Name)
	case *knftables.Map:
		return fmt.Sprintf("%s map %s", s.Verb, o.Name)
	case *knftables.Element:
		return fmt.Sprintf("%s element %s of set %s", s.Verb, strings.Join(o.Key, " . "), o.Set+o.Map)
	case *knftables.Counter:
		return fmt.Sprintf("%s counter %s", s.Verb, o.Name)
	default:
		return fmt.Sprintf("%s %T", s.Verb, s.Object)
	}
}

// StepError says which step the kernel refused. Nothing of its transaction has had an effect.
type StepError struct {
	Step Step
	// Err is the kernel's error number.
	Err error
	// Explanation is what else the kernel says; mostly empty.
	Explanation string
}

// Error names the step and the reason.
func (e *StepError) Error() string {
	if e.Explanation != "" {
		return fmt.Sprintf("%s: %v (%s)", e.Step, e.Err, e.Explanation)
	}
	return fmt.Sprintf("%s: %v", e.Step, e.Err)
}

// Unwrap returns the kernel's error number.
func (e *StepError) Unwrap() error { return e.Err }

// UnsupportedError says that this package cannot write a step; the nft program may. Nothing
// of its transaction was sent.
type UnsupportedError struct {
	Step Step
	Err  error
}

// Error names the step and the reason.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s: cannot be encoded: %v", e.Step, e.Err)
}

// Unwrap returns the reason.
func (e *UnsupportedError) Unwrap() error { return e.Err }
