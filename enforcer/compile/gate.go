package compile

import (
	"net/netip"
	"slices"

	"github.com/apptier/apptier/enforcer/nft"
)

// setRanges closes the addresses that this node gives to pods, except those of pods that are known: a
// pod sends before the API server has heard of its address, and must not do so unjudged.
//
// Known is every pod of the cluster, not only those of this node: some network plugins give
// addresses from ranges of their own, and leave node.spec.podCIDRs to mean nothing.
func (c *Compiler) setRanges(prefixes []netip.Prefix) {
	if slices.Equal(c.prefixes, prefixes) {
		return
	}
	of := map[family][]span{}
	for _, prefix := range prefixes {
		f := familyOf(prefix.Addr())
		of[f] = append(of[f], spanOf(prefix))
	}
	var ranges []span
	for _, f := range families {
		ranges = append(ranges, union(of[f])...)
	}
	for _, s := range c.ranges {
		if !slices.Contains(ranges, s) {
			c.journal.DeleteElement(rangeSet[familyOf(s.first)], s.String())
		}
	}
	for _, s := range ranges {
		c.journal.SetElement(rangeSet[familyOf(s.first)], s.String(), nft.Element{})
	}
	c.prefixes, c.ranges = prefixes, ranges
	for address, p := range c.claims.owner {
		f := familyOf(address)
		if within(prefixes, address) {
			c.journal.SetElement(knownSet[f], address.String(), nft.Element{Comment: remark(p.String())})
		} else {
			c.journal.DeleteElement(knownSet[f], address.String())
		}
	}
}

// setKnown opens an address of a pod.
func (c *Compiler) setKnown(p *Pod, a address) {
	if within(c.prefixes, a.Addr) {
		c.journal.SetElement(knownSet[a.family()], a.text, nft.Element{Comment: remark(p.String())})
	}
}

func within(prefixes []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
}
