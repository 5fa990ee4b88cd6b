package model

import (
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Place is where something stands in the spec of an AppTier. Few are ever written out, so the path is made only then;
// two places are equal if their paths are.
type Place struct {
	list  string // the field of the spec
	tier  int    // its position in the list of tiers, or -1
	rules string // "ingress", "egress" or "" where the peers stand in the field itself
	rule  int
	peers string // "from", "to" or "" where the place is the field, or the rule
	peer  int
	field string // within the peer, or ""
}

// Setting is the place of a field of the spec that holds for every tier, such as "dns".
func Setting(name string) Place { return Place{list: name, tier: -1} }

// Tier is the place of a tier.
func Tier(index int) Place { return Place{list: "tiers", tier: index} }

// DNSServer is the place of one of the peers that spec.dns.to names.
func DNSServer(index int) Place { return Place{list: "dns", tier: -1, peers: "to", peer: index} }

// Child is the place of a field of a peer.
func (p Place) Child(name string) Place {
	p.field = name
	return p
}

// Path is the place as a path of fields.
func (p Place) Path() *field.Path {
	path := field.NewPath("spec", p.list)
	if p.tier >= 0 {
		path = path.Index(p.tier)
	}
	if p.rules != "" {
		path = path.Child(p.rules).Index(p.rule)
	}
	if p.peers != "" {
		path = path.Child(p.peers).Index(p.peer)
	}
	if p.field != "" {
		path = path.Child(p.field)
	}
	return path
}

// String is the path in words, as in spec.tiers[0].ingress[0].from[0].appTier.
func (p Place) String() string { return p.Path().String() }
