package cli

import (
	"slices"

	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
)

// unresolved is a reference of an AppTier that stands for nobody.
type unresolved struct {
	expand.Unresolved
	source object
}

func (u unresolved) finding() finding {
	return finding{source: u.source, Finding: lint.Finding{
		Check: lint.Check(u.Reason), Severity: lint.Warn, Path: u.Path, Message: u.Message, Fix: u.Fix,
	}}
}

// missing are the findings of references that no check of policy/lint is about: it knows AppTiers and
// Services by name, and neither nodes nor the API server nor how pods call their ports.
func (s *scene) missing(references []unresolved) []finding {
	var findings []finding
	for _, u := range references {
		f := u.finding()
		switch what := u.Missing; {
		case what.Ports != "" && s.hasPods(what.Key.Namespace):
			f.Check = lint.NamedPortUnresolved
		case (what.Kind == "Node" || what.Kind == "EndpointSlice") && s.whole:
			f.Check = lint.UnknownReference
		default:
			continue
		}
		findings = append(findings, f)
	}
	return findings
}

// hasPods says whether pods of a namespace are known.
func (s *scene) hasPods(namespace string) bool {
	return s.whole || slices.ContainsFunc(s.objects(), func(o object) bool {
		pod := podOf(o.Object)
		return pod != nil && pod.Namespace == namespace
	})
}
