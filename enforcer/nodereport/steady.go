package nodereport

import (
	"slices"

	"github.com/apptier/apptier/enforcer/health"
)

// mostProblems is how many a report has room for.
const mostProblems = 16

// steady are the reasons why a node is not ready that were there two looks in a row: what comes and goes is no news.
type steady struct {
	last    []string
	reasons []string
}

func (s *steady) see(problems []health.Problem) {
	var now []string
	for _, p := range problems {
		if p.Severity == health.NotReady && !p.Usual {
			now = append(now, string(p.Reason))
		}
	}
	slices.Sort(now)
	now = slices.Compact(now)
	s.reasons = nil
	for _, reason := range now {
		if slices.Contains(s.last, reason) && len(s.reasons) < mostProblems {
			s.reasons = append(s.reasons, reason)
		}
	}
	s.last = now
}
