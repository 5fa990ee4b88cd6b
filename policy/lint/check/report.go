package check

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Report collects findings.
type Report struct {
	Findings []Finding
	// OfTier says that what is judged is written in an AppTier, and that fixes are to be in its words.
	OfTier bool
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

// IsFull says whether a check is to name no more places, and counts one more if it is not. The first that is
// too many becomes a finding that says so.
func (r *Report) IsFull(check ID, severity Severity, path *field.Path) bool {
	if r.named == nil {
		r.named = map[place]int{}
	}
	p := place{check, severity}
	r.named[p]++
	if r.named[p] == mostOfCheck+1 {
		r.Add(check, severity, path, "correct those that are named, and see what is left",
			"there are more than the %d places that are named before", mostOfCheck)
	}
	return r.named[p] > mostOfCheck
}

// Find adds a finding of the severity that its check has. One of a check that nobody registered is refused
// rather than let through.
func (r *Report) Find(check ID, path *field.Path, fix, message string, args ...any) {
	r.Add(check, cmp.Or(checks[check].Severity, Reject), path, fix, message, args...)
}

// Add adds a finding. Without a path there is nothing to find fault with: it is judged otherwise.
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

// FindError adds what Kubernetes' own validation found.
func (r *Report) FindError(check ID, err *field.Error, fix string) {
	r.Findings = append(r.Findings, Finding{Check: check, Severity: Reject, Path: Path(err.Field), Message: err.ErrorBody(), Fix: fix})
}
