// Package lint judges AppTiers: what would leak, break, or mean nothing. Every check has a stable
// ID, says where and why, and hands over what to write instead. The admission webhook, the
// controller and the command line all run the same checks.
package lint

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
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

// report collects findings.
type report struct {
	findings []Finding
	// ofTier says that what is judged is written in an AppTier, and that fixes are to be in its words.
	ofTier bool
	// named is how many places each check has named that may name only so many.
	named map[place]int
}

type place struct {
	check    ID
	severity Severity
}

// mostOfCheck bounds how many places a check names in one object where there is one for each rule: people
// read no more, and answers of the API server have a size.
const mostOfCheck = 100

// isFull says whether a check is to name no more places, and counts one more if it is not. The first that is
// too many becomes a finding that says so.
func (r *report) isFull(check ID, severity Severity, path *field.Path) bool {
	if r.named == nil {
		r.named = map[place]int{}
	}
	p := place{check, severity}
	r.named[p]++
	if r.named[p] == mostOfCheck+1 {
		r.add(check, severity, path, "correct those that are named, and see what is left", "there are more than the %d places that are named before", mostOfCheck)
	}
	return r.named[p] > mostOfCheck
}

// find adds a finding of the severity that its check has. One of a check that nobody registered is refused
// rather than let through.
func (r *report) find(check ID, path *field.Path, fix, message string, args ...any) {
	r.add(check, cmp.Or(checks[check].Severity, Reject), path, fix, message, args...)
}

// add adds a finding. Without a path there is nothing to find fault with: it is judged otherwise.
func (r *report) add(check ID, severity Severity, path *field.Path, fix, message string, args ...any) {
	if path == nil {
		return
	}
	if r.ofTier {
		fix = cmp.Or(checks[check].TierFix, fix)
	}
	r.findings = append(r.findings, Finding{
		Check: check, Severity: severity, Path: Path(path.String()), Message: fmt.Sprintf(message, args...), Fix: fix,
	})
}
