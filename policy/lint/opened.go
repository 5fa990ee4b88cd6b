package lint

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/widening"
	"github.com/apptier/apptier/policy/lint/world"
)

// Opened returns the hand-written policies of the namespace that open what an AppTier would close. Admission refuses
// an AppTier after such a policy, as it refuses the policy after the AppTier. It warns about annotated policies.
//
// If work.Err is not nil, the work exceeded its limit, and the result means nothing.
func Opened(index *world.Index, app *v1alpha1.AppTier, desired []*networkingv1.NetworkPolicy, work *check.Work) []check.Finding {
	if here := index.At(app.Namespace); len(here.Policies) == len(here.Generated) {
		return nil
	}
	r, path := &check.Report{}, field.NewPath("spec", "tiers")
	for _, o := range widening.Openings(index.WithPolicies(app, desired), app, func() *check.Work { return work }) {
		message := fmt.Sprintf("NetworkPolicy %s lets %s", o.Policy.Name, o.Example)
		if o.Reason != "" {
			r.Add(netpol.Widens, check.Warn, path, "declare it here to keep it",
				"%s; its annotation %s gives the reason: %s", message, widening.Annotation, o.Reason)
		} else {
			fix := "declare it here, or delete NetworkPolicy %s; while you need it, annotate it with %s: the reason"
			r.Find(netpol.Widens, path, fmt.Sprintf(fix, o.Policy.Name, widening.Annotation), "%s", message)
		}
		r.Findings[len(r.Findings)-1].Other = o.Policy.Name
	}
	return r.Findings
}
