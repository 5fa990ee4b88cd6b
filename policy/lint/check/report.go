package check

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Report collects findings.
type Report struct {
	Findings []Finding
	// OfTier says that the judged tier is written in an AppTier, so fixes are in its words.
	OfTier bool
	// named counts the places that each limited check has named.
	named map[place]int
}

type place struct {
	check    ID
	severity Severity
}

// mostOfCheck limits the places that a check names in one object, for checks with one for each rule: people read no
// more, and answers of the API server have a size limit.
const mostOfCheck = 100

// IsFull says whether a check has named its limit of places, and counts one more. The first place above the limit becomes
// a finding that says so.
func (r *Report) IsFull(check ID, severity Severity, path *field.Path) bool {
	if r.named == nil {
		r.named = map[place]int{}
	}
	p := place{check, severity}
	r.named[p]++
	if r.named[p] == mostOfCheck+1 {
		r.Add(check, severity, path, "correct those, then check again",
			"there are more than the %d places named above", mostOfCheck)
	}
	return r.named[p] > mostOfCheck
}

// Find adds a finding with the severity of its check. A finding of an unregistered check rejects, to be safe.
func (r *Report) Find(check ID, path *field.Path, fix, message string, args ...any) {
	r.Add(check, cmp.Or(checks[check].Severity, Reject), path, fix, message, args...)
}

// Add adds a finding. Without a path it adds nothing: another check judges the place.
func (r *Report) Add(check ID, severity Severity, path *field.Path, fix, message string, args ...any) {
	if path == nil {
		return
	}
	if r.OfTier {
		fix = cmp.Or(checks[check].TierFix, fix)
	}
	r.Findings = append(r.Findings, Finding{
		Check: check, Severity: severity, Path: Path(path.String()), Message: fmt.Sprintf(message, args...), Fix: fix,
	})
}

// FindError adds an error of Kubernetes' own validation.
func (r *Report) FindError(check ID, err *field.Error, fix string) {
	r.Findings = append(r.Findings, Finding{Check: check, Severity: Reject, Path: Path(err.Field), Message: err.ErrorBody(), Fix: fix})
}
