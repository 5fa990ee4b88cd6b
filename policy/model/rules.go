package model

import (
	"iter"
	"slices"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Rule is an ingress or an egress rule of an AppTier, which differ in the names of their fields only.
type Rule struct {
	// At is where it stands.
	At Place
	// Direction of the connections that it allows, as seen from the pods that it is for.
	Direction v1alpha1.Direction
	// Tier is whose rule it is; nil for a rule of every tier.
	Tier     *v1alpha1.Tier
	Peers    []v1alpha1.Peer
	Ports    []v1alpha1.RulePort
	AllPorts bool
}

// PeersField is the name of the field that holds the rule's peers: from or to.
func (r *Rule) PeersField() string {
	if r.Direction == v1alpha1.Ingress {
		return "from"
	}
	return "to"
}

// PeerAt is the place of one of the rule's peers.
func (r *Rule) PeerAt(index int) Place {
	at := r.At
	at.peers, at.peer = r.PeersField(), index
	return at
}

// SaysPorts says whether the rule itself says which ports it allows. Otherwise those count that the tier declares
// (ingress), or that each peer brings (egress).
func (r *Rule) SaysPorts() bool { return len(r.Ports) > 0 || r.AllPorts }

// Rules returns every rule of an AppTier, in the order of its fields.
func Rules(spec *v1alpha1.AppTierSpec) iter.Seq[Rule] {
	return func(yield func(Rule) bool) {
		if every := spec.EveryTier; every != nil {
			at := Setting("everyTier")
			if !each(at, nil, v1alpha1.Ingress, every.Ingress, yield) || !each(at, nil, v1alpha1.Egress, every.Egress, yield) {
				return
			}
		}
		for i := range spec.Tiers {
			tier := &spec.Tiers[i]
			if !each(Tier(i), tier, v1alpha1.Ingress, tier.Ingress, yield) || !each(Tier(i), tier, v1alpha1.Egress, tier.Egress, yield) {
				return
			}
		}
	}
}

// RulesOf returns the rules of one direction that are for a tier, by its position: its own, then those of every tier.
func RulesOf(spec *v1alpha1.AppTierSpec, tier int, direction v1alpha1.Direction) []Rule {
	own, every := &spec.Tiers[tier], spec.EveryTier
	if every == nil {
		every = &v1alpha1.EveryTier{}
	}
	var out []Rule
	add := func(rule Rule) bool { out = append(out, rule); return true }
	if direction == v1alpha1.Ingress {
		out = make([]Rule, 0, len(own.Ingress)+len(every.Ingress))
		each(Tier(tier), own, direction, own.Ingress, add)
		each(Setting("everyTier"), nil, direction, every.Ingress, add)
	} else {
		out = make([]Rule, 0, len(own.Egress)+len(every.Egress))
		each(Tier(tier), own, direction, own.Egress, add)
		each(Setting("everyTier"), nil, direction, every.Egress, add)
	}
	return out
}

// each yields rules of one direction; false once that is enough.
func each[T v1alpha1.IngressRule | v1alpha1.EgressRule](at Place, tier *v1alpha1.Tier, direction v1alpha1.Direction, rules []T,
	yield func(Rule) bool) bool {
	for i := range rules {
		rule := Rule{At: at, Direction: direction, Tier: tier}
		rule.At.rule = i
		switch written := any(&rules[i]).(type) {
		case *v1alpha1.IngressRule:
			rule.At.rules, rule.Peers, rule.Ports, rule.AllPorts = "ingress", written.From, written.Ports, written.AllPorts
		case *v1alpha1.EgressRule:
			rule.At.rules, rule.Peers, rule.Ports, rule.AllPorts = "egress", written.To, written.Ports, written.AllPorts
		}
		if !yield(rule) {
			return false
		}
	}
	return true
}

// Restricts says whether a rule applies to a tier, in a direction in which its pods are isolated: otherwise everything is
// allowed anyway.
func (r *Rule) Restricts(spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier) bool {
	return (r.Tier == nil || r.Tier == tier) && Isolates(spec, tier, r.Direction)
}

// Isolates says whether a tier's pods are denied what is not declared in a direction: because the tier says so, or
// because the AppTier isolates the whole namespace.
func Isolates(spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier, direction v1alpha1.Direction) bool {
	return spec.Isolation.Scope == v1alpha1.ScopeNamespace || TierIsolates(tier, direction)
}

// TierIsolates says whether a tier itself asks for it; unset means both directions.
func TierIsolates(tier *v1alpha1.Tier, direction v1alpha1.Direction) bool {
	return len(tier.Isolate) == 0 || slices.Contains(tier.Isolate, direction)
}

// TierIndex returns the position of the tier of a name, or -1.
func TierIndex(spec *v1alpha1.AppTierSpec, name string) int {
	return slices.IndexFunc(spec.Tiers, func(t v1alpha1.Tier) bool { return t.Name == name })
}

// TierNamed returns the tier of a name, or nil.
func TierNamed(spec *v1alpha1.AppTierSpec, name string) *v1alpha1.Tier {
	i := TierIndex(spec, name)
	if i < 0 {
		return nil
	}
	return &spec.Tiers[i]
}
