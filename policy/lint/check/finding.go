// Package check says what a check of policies is, and what it finds: the words of lint, which all of its rooms share.
package check

import (
	"fmt"
	"slices"
	"strings"
)

// Severity says what a finding leads to, in the words of compilers and of SARIF, everywhere the same.
type Severity string

// Severities.
const (
	// Reject: the object is refused.
	Reject Severity = "error"
	// Warn: the object is accepted, with a warning.
	Warn Severity = "warning"
	// Note: nothing is found fault with; something is not known, and said.
	Note Severity = "note"
)

// Finding is what a check found at one place.
type Finding struct {
	Check    ID       `json:"check"`
	Severity Severity `json:"severity"`
	// Path of the field that is to be changed.
	Path Path `json:"path"`
	// Message says what is wrong and why it matters.
	Message string `json:"message"`
	// Fix says what to write instead.
	Fix string `json:"fix"`
	// Other is the name of the policy that is at fault beside the object; empty if it is the object itself.
	Other string `json:"-"`
}

// String is the finding on one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s (%s)", f.Path, f.Message, f.Fix, f.Check)
}

// WithSeverity returns the findings of a severity.
func WithSeverity(findings []Finding, severity Severity) []Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Severity != severity })
}

// Path is where a field stands in an object, as in spec.tiers[0].name: what a field.Path prints.
type Path string

// Within says whether the field is another, or in it.
func (p Path) Within(other Path) bool {
	rest, found := strings.CutPrefix(string(p), string(other))
	return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
