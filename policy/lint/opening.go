package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Opening is a policy that opens what an AppTier closes.
type Opening struct {
	Policy *networkingv1.NetworkPolicy
	// Example is a connection that it lets through, and what the AppTier allows there.
	Example string
	// Reason is the one that its annotation AllowWidening gives; empty without.
	Reason string
	// Unjudged is why nobody knows whether it does; if it is not nil, there is no example.
	Unjudged error
}

// Openings returns the hand-written policies of a world that open what an AppTier closes, by name, as
// Widenings decides it: they were let pass for a reason, or are older than the AppTier. What another
// AppTier of the namespace declares is no opening. Where the question is open, nothing is returned. Each
// policy may take so many steps, 0 for any number: one that takes more is returned unjudged.
func Openings(app *v1alpha1.AppTier, world World, most int) []Opening {
	return NewIndex(world).openings(app, func() *Work { return NewWork(most, nil) })
}

func (x *Index) openings(app *v1alpha1.AppTier, workOf func() *Work) []Opening {
	here := x.at(app.Namespace)
	policies := slices.Clone(here.policies[:len(here.policies)-len(here.generated)])
	slices.SortFunc(policies, func(a, b *knownPolicy) int { return cmp.Compare(a.Name, b.Name) })
	var out []Opening
	for _, policy := range policies {
		work := workOf()
		if !work.spend(1 + conditionSteps*weightOf(policy.NetworkPolicy)) {
			out = append(out, Opening{Policy: policy.NetworkPolicy, Unjudged: work.Err()})
			continue
		}
		v := newView(policy.NetworkPolicy, x, work)
		w := v.widened(app.Name)
		opening := Opening{Policy: policy.NetworkPolicy, Reason: strings.TrimSpace(policy.Annotations[AllowWidening]), Unjudged: work.Err()}
		if w != nil && opening.Unjudged == nil {
			opening.Example = v.deed(*w) + "; " + v.instead(*w)
		}
		if opening.Unjudged != nil || w != nil {
			out = append(out, opening)
		}
	}
	return out
}

// widened returns a connection that the policy opens to a pod which this AppTier isolates; nil for none.
func (v *view) widened(app string) *Widening {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		generated := where(v.here.generated, func(g *knownPolicy) bool { return g.isolates(direction) })
		d := v.declaredBy(direction, where(generated, func(g *knownPolicy) bool { return g.Labels[v1alpha1.LabelAppTier] == app }), generated)
		if len(d.by) == 0 {
			continue
		}
		for _, clause := range v.policy.clauses(direction) {
			if w := d.widening(clause); v.work.err != nil || w != nil && w.Unknown == "" {
				return w
			}
		}
	}
	return nil
}

// Opened returns the hand-written policies of the namespace that open what an AppTier would close with the
// policies that it stands for: an AppTier that comes after such a policy is refused, as the policy is that
// comes after the AppTier. Annotated ones are warned about.
//
// It means nothing if it took more work than it may, as work.Err says.
func (x *Index) Opened(app *v1alpha1.AppTier, desired []*networkingv1.NetworkPolicy, work *Work) []Finding {
	here := x.at(app.Namespace)
	if len(here.policies) == len(here.generated) {
		return nil
	}
	r, path := &report{}, field.NewPath("spec", "tiers")
	for _, o := range x.With(map[string]World{app.Namespace: here.with(app.Name, desired)}).openings(app, func() *Work { return work }) {
		message := fmt.Sprintf("NetworkPolicy %s lets %s", o.Policy.Name, o.Example)
		if o.Reason != "" {
			r.add(Widens, Warn, path, "declare it here, if it is to stay", "%s; its annotation %s gives as reason: %s", message, AllowWidening, o.Reason)
		} else {
			r.find(Widens, path, fmt.Sprintf("declare it here, or delete NetworkPolicy %s; for as long as it is needed, annotate it with %s: the reason", o.Policy.Name, AllowWidening), "%s", message)
		}
		r.findings[len(r.findings)-1].Other = o.Policy.Name
	}
	return r.findings
}
