// Package check has the types that all packages of lint share: checks and findings.
package check

import (
	"fmt"
	"slices"
	"strings"
)

// Severity is the effect of a finding, in the words of compilers and of SARIF.
type Severity string

// Severities.
const (
	// Reject: the object is refused.
	Reject Severity = "error"
	// Warn: the object is accepted, with a warning.
	Warn Severity = "warning"
	// Note: nothing is wrong, but something is not known.
	Note Severity = "note"
)

// Finding is the result of a check at one place.
type Finding struct {
	Check    ID       `json:"check"`
	Severity Severity `json:"severity"`
	// Path of the field to change.
	Path Path `json:"path"`
	// Message says what is wrong and why it matters.
	Message string `json:"message"`
	// Fix says what to write instead.
	Fix string `json:"fix"`
	// Other is the name of the other policy that is wrong; empty if it is the object itself.
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

// Softened returns findings of which none rejects, but for those of some checks.
func Softened(findings []Finding, except ...ID) []Finding {
	findings = slices.Clone(findings)
	for i, f := range findings {
		if f.Severity == Reject && !slices.Contains(except, f.Check) {
			findings[i].Severity = Warn
		}
	}
	return findings
}

// Path is the path of a field in an object, such as spec.tiers[0].name: what a field.Path prints.
type Path string

// Within says whether the field is other, or in it.
func (p Path) Within(other Path) bool {
	rest, found := strings.CutPrefix(string(p), string(other))
	return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
