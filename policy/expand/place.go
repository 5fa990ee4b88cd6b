package expand

import (
	"strconv"

	"github.com/apptier/apptier/api/v1alpha1"
)

// place is where a peer stands. Few are ever written out, so the text is made only then.
type place struct {
	list  string
	tier  int    // -1: none
	rules string // "": the peers stand in the list itself
	rule  int
	peers string // "": the place is the list, or the rule
	peer  int
	field string // "": the place is the peer
}

func (p place) child(field string) place {
	p.field = field
	return p
}

// String is the path, as in spec.tiers[0].ingress[0].from[0].appTier.
func (p place) String() string {
	text := p.list
	if p.tier >= 0 {
		text += index(p.tier)
	}
	if p.rules != "" {
		text += "." + p.rules + index(p.rule)
	}
	if p.peers != "" {
		text += "." + p.peers + index(p.peer)
	}
	if p.field != "" {
		text += "." + p.field
	}
	return text
}

// setting is the place of a field of the spec that holds for every tier.
func setting(path string) place { return place{list: path, tier: -1} }

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// placed is a rule and where it stands; peer 0 stands for all of its peers.
type placed[T any] struct {
	at   place
	rule *T
}

// ingressRules are a tier's own rules and those of every tier.
func ingressRules(app *v1alpha1.AppTier, tier int) []placed[v1alpha1.IngressRule] {
	at := place{list: "spec.tiers", tier: tier, rules: "ingress", peers: "from"}
	rules := appendPlaced(nil, at, app.Spec.Tiers[tier].Ingress)
	if app.Spec.EveryTier != nil {
		at.list, at.tier = "spec.everyTier", -1
		rules = appendPlaced(rules, at, app.Spec.EveryTier.Ingress)
	}
	return rules
}

// egressRules are a tier's own rules and those of every tier.
func egressRules(app *v1alpha1.AppTier, tier int) []placed[v1alpha1.EgressRule] {
	at := place{list: "spec.tiers", tier: tier, rules: "egress", peers: "to"}
	rules := appendPlaced(nil, at, app.Spec.Tiers[tier].Egress)
	if app.Spec.EveryTier != nil {
		at.list, at.tier = "spec.everyTier", -1
		rules = appendPlaced(rules, at, app.Spec.EveryTier.Egress)
	}
	return rules
}

func appendPlaced[T any](out []placed[T], at place, rules []T) []placed[T] {
	for i := range rules {
		at.rule = i
		out = append(out, placed[T]{at, &rules[i]})
	}
	return out
}
