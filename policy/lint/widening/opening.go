package widening

import (
	"cmp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// Opening is a policy that opens what an AppTier closes.
type Opening struct {
	Policy *networkingv1.NetworkPolicy
	// Example is a connection that it allows, and what the AppTier allows there.
	Example string
	// Reason is the value of its Annotation; empty without one.
	Reason string
	// Unjudged is why it was not judged; if it is not nil, there is no example.
	Unjudged error
}

// Openings returns the hand-written policies of an AppTier's namespace that open what it closes, by name: they have a
// reason, or are older than the AppTier. What another AppTier of the namespace declares is no opening. A policy of which
// it is not known is left out. A policy that takes more work than the limit is returned unjudged.
func Openings(x *world.Index, app *v1alpha1.AppTier, workOf func() *check.Work) []Opening {
	here := x.At(app.Namespace)
	policies := slices.Clone(here.Policies[:len(here.Policies)-len(here.Generated)])
	slices.SortFunc(policies, func(a, b *world.Policy) int { return cmp.Compare(a.Name, b.Name) })
	var out []Opening
	for _, policy := range policies {
		work := workOf()
		if !work.Spend(world.StepsOf(policy.NetworkPolicy)) {
			out = append(out, Opening{Policy: policy.NetworkPolicy, Unjudged: work.Err()})
			continue
		}
		v := world.NewView(policy.NetworkPolicy, x, work)
		w := widened(v, app.Name)
		opening := Opening{Policy: policy.NetworkPolicy, Reason: strings.TrimSpace(policy.Annotations[Annotation]), Unjudged: work.Err()}
		if w != nil && opening.Unjudged == nil {
			opening.Example = w.Words(v)
		}
		if opening.Unjudged != nil || w != nil {
			out = append(out, opening)
		}
	}
	return out
}

// widened returns a connection that the policy opens to a pod which this AppTier isolates; nil for none.
func widened(v *world.View, app string) *Widening {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		generated := world.Where(v.Here.Generated, func(g *world.Policy) bool { return g.Isolates(direction) })
		d := declaredBy(v, direction, world.Where(generated, func(g *world.Policy) bool { return g.Labels[v1alpha1.LabelAppTier] == app }),
			generated)
		if len(d.by) == 0 {
			continue
		}
		for _, clause := range v.Policy.Clauses(direction) {
			if w := d.widening(clause); v.Work.Err() != nil || w != nil && w.Unknown == "" {
				return w
			}
		}
	}
	return nil
}

// Annotation is the annotation of a NetworkPolicy that opens on purpose what an AppTier closes.
// Its value says why.
const Annotation = "policy.apptier.dev/allow-widening"
