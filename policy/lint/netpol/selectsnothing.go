package netpol

import (
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// SelectsNothing reports where a policy selects no pod.
var SelectsNothing = register(check.Check{
	ID: "selects-nothing", Severity: check.Warn, About: check.OfBoth,
	Title: "Selects no pod",
	Text: `A selector that matches nothing protects nothing, and nobody notices. Reported if the namespace has pods and none
of them matches; for an AppTier, of each tier. Objects of unknown kinds may make more pods: if the input has any, nothing
is reported.`,
})

func init() { runs[SelectsNothing] = checkSubjects }

// checkSubjects finds policies that protect nothing: with a typo, a selector matches nothing, and nobody notices.
func checkSubjects(r *check.Report, v *view) {
	namespace, selector := v.Policy.Namespace, &v.Policy.Spec.PodSelector
	if words.IsEmpty(selector) || !v.KnowsPods(v.Here) {
		return
	}
	path := specPath.Child("podSelector")
	selected := v.Here.Selected(v.Policy)
	switch {
	case len(selected) == 0:
		r.Find(SelectsNothing, path, words.Hint(selector, world.PodLabels(v.Here), "pods"),
			"no pod of namespace %s has %s, so the policy protects nothing", namespace, words.Selector(selector))
	case len(world.OnPodNetwork(selected)) == 0:
		r.Find(HostNetwork, path, "restrict the node's traffic by other means: a policy cannot",
			"every pod that is selected, such as %s, is on its node's network, where policies do not apply", words.Pod(selected[0]))
	}
}
