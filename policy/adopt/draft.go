package adopt

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// draft is an AppTier on its way.
type draft struct {
	namespace, name string
	// every is what holds for every pod of the namespace, if the AppTier isolates that.
	every         *subject
	sameNamespace bool
	tiers         []*tier
	dns           v1alpha1.DNS
	// shared is what all its tiers allow, in the directions that they isolate.
	shared map[networkingv1.PolicyType]allowances
}

// tier is a tier of a draft.
type tier struct {
	*subject
	name string
	of   *draft
	// left are allowances that nothing else of the draft says.
	left map[networkingv1.PolicyType]allowances
	// fromTiers are the ports on which it accepts tiers of its draft.
	fromTiers []tierPorts
	// agreed are those with which it has agreed on a connection, tiers of other drafts; of ingress, with the ports.
	agreed map[networkingv1.PolicyType][]tierPorts
}

type tierPorts struct {
	*tier
	ports ports
}

// isolatesIn says whether the tier's pods are isolated in a direction, by the tier or by its AppTier.
func (t *tier) isolatesIn(direction networkingv1.PolicyType) bool {
	return t.isolates[direction] || t.of.every != nil
}

const mostTiers = 64 // as in the schema

// drafts divides what is said of a namespace into AppTiers: one for each application that its pods are a part of, or
// one for all if nothing tells them apart. Of tiers with a pod in common, all but the first are in others.
func (in *Input) drafts(namespace string, every *everyPod, subjects []*subject) []*draft {
	var out []*draft
	owners := map[string]bool{}
	for _, s := range subjects {
		if owner := s.owner(); owner != "" {
			owners[owner] = true
		}
	}
	for _, s := range subjects {
		owner := s.owner()
		if len(owners) == 1 {
			for only := range owners {
				owner = only
			}
		}
		i := slices.IndexFunc(out, func(d *draft) bool { return d.name == orNamespace(owner, namespace) && d.hasRoomFor(s) })
		if i < 0 {
			i = len(out)
			out = append(out, &draft{namespace: namespace, name: orNamespace(owner, namespace)})
		}
		out[i].tiers = append(out[i].tiers, &tier{subject: s, of: out[i]})
	}
	if every.isolates() && len(out) == 0 {
		out = append(out, &draft{namespace: namespace, name: orNamespace("", namespace)})
	}
	if every.isolates() {
		out[0].every, out[0].sameNamespace = every.subject, every.sameNamespace
	}
	in.nameAll(out)
	return out
}

func orNamespace(owner, namespace string) string {
	if owner != "" {
		return owner
	}
	return namespace
}

func (d *draft) hasRoomFor(s *subject) bool {
	return len(d.tiers) < mostTiers && !slices.ContainsFunc(d.tiers, func(t *tier) bool { return t.overlaps(s) })
}

// nameAll gives each draft and each tier a unique name, which no other AppTier has or refers to.
func (in *Input) nameAll(drafts []*draft) {
	taken := map[types.NamespacedName]bool{}
	for _, app := range in.AppTiers {
		taken[types.NamespacedName{Namespace: app.Namespace, Name: app.Name}] = true
	}
	for _, name := range in.referredTo() {
		taken[name] = true
	}
	for _, d := range drafts {
		isTaken := func(name string) bool {
			return taken[types.NamespacedName{Namespace: d.namespace, Name: name}] || in.isNeeded(d.namespace, name)
		}
		owner := d.name
		if isTaken(owner) && len(d.tiers) == 1 {
			owner += "-" + d.tiers[0].tierName(d.name)
		}
		d.name = free(asLabel(owner), isTaken)
		taken[types.NamespacedName{Namespace: d.namespace, Name: d.name}] = true
		names := map[string]bool{}
		for _, t := range d.tiers {
			t.name = free(t.tierName(orNamespace(t.owner(), d.name)), func(name string) bool { return names[name] })
			names[t.name] = true
		}
	}
}

// isNeeded says whether a policy has a name that one of an AppTier would need.
func (in *Input) isNeeded(namespace, app string) bool {
	return slices.ContainsFunc(slices.Concat(in.Policies, in.Beside), func(p *networkingv1.NetworkPolicy) bool {
		return p.Namespace == namespace &&
			(p.Name == expand.NamespacePolicyName(app) || strings.HasPrefix(p.Name, expand.TierPolicyName(app, "")))
	})
}
