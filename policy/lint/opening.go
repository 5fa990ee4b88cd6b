package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/space"
)

// Opening is a policy that opens what an AppTier closes.
type Opening struct {
	Policy *networkingv1.NetworkPolicy
	// Example is a connection that it lets through, and what the AppTier allows there.
	Example string
	// Reason is the one that its annotation AllowWidening gives; empty without.
	Reason string
}

// Openings returns the hand-written policies of a world that open what an AppTier closes, by name, as
// Widenings decides it: they were let pass for a reason, or are older than the AppTier. What another
// AppTier of the namespace declares is no opening. Where the question is open, nothing is returned.
func Openings(app *v1alpha1.AppTier, world World) []Opening {
	return NewIndex(world).openings(app)
}

func (x *Index) openings(app *v1alpha1.AppTier) []Opening {
	here := x.at(app.Namespace)
	policies := slices.Clone(here.policies[:len(here.policies)-len(here.generated)])
	slices.SortFunc(policies, func(a, b *knownPolicy) int { return cmp.Compare(a.Name, b.Name) })
	var out []Opening
	for _, policy := range policies {
		v := newView(policy.NetworkPolicy, x)
		if w := v.widened(app.Name); w != nil {
			out = append(out, Opening{policy.NetworkPolicy, v.deed(*w) + "; " + v.instead(*w), strings.TrimSpace(policy.Annotations[AllowWidening])})
		}
	}
	return out
}

// widened returns a connection that the policy opens to a pod which this AppTier isolates; nil for none.
func (v *view) widened(app string) *Widening {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		generated := where(v.here.generated, func(g *knownPolicy) bool { return g.isolates(direction) })
		d := &declared{view: v, direction: direction, kinds: map[*contents]string{}}
		d.by = where(generated, func(g *knownPolicy) bool { return g.Labels[v1alpha1.LabelAppTier] == app })
		for _, clause := range clausesOf(generated, direction) {
			d.boxes = append(d.boxes, clause.Box)
			d.keys = append(d.keys, clause.Box.Labels(space.Subject)...)
		}
		d.every = d.boxes
		if len(d.by) == 0 {
			continue
		}
		for _, clause := range v.policy.clauses(direction) {
			if w := d.widening(clause); w != nil && w.Unknown == "" {
				return w
			}
		}
	}
	return nil
}

// Opened returns the hand-written policies of the namespace that open what an AppTier would close with the
// policies that it stands for: an AppTier that comes after such a policy is refused, as the policy is that
// comes after the AppTier. Annotated ones are warned about.
func (x *Index) Opened(app *v1alpha1.AppTier, desired []*networkingv1.NetworkPolicy) []Finding {
	here := x.at(app.Namespace)
	if len(here.policies) == len(here.generated) {
		return nil
	}
	r, path := &report{}, field.NewPath("spec", "tiers")
	for _, o := range x.With(map[string]World{app.Namespace: here.with(app.Name, desired)}).openings(app) {
		message := fmt.Sprintf("NetworkPolicy %s lets %s", o.Policy.Name, o.Example)
		if o.Reason != "" {
			r.warn(Widens, path, "declare it here, if it is to stay", "%s; its annotation %s gives as reason: %s", message, AllowWidening, o.Reason)
			continue
		}
		r.reject(Widens, path, fmt.Sprintf("declare it here, or delete NetworkPolicy %s; for as long as it is needed, annotate it with %s: the reason", o.Policy.Name, AllowWidening), "%s", message)
	}
	return r.findings
}
