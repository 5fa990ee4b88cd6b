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
// addresses from ranges of their own, and leave node.spec.podCIDRs to mean nothing. But where the node's
// kernel shows an address attached to it, only a pod of this node will do.
func (c *Compiler) setRanges(prefixes []span) {
	of := map[family][]span{}
	for _, s := range prefixes {
		of[familyOf(s.first)] = append(of[familyOf(s.first)], s)
	}
	var ranges []span
	for _, f := range families {
		ranges = append(ranges, union(of[f])...)
	}
	if slices.Equal(c.ranges, ranges) {
		return
	}
	for a := range c.attached { // those outside of the ranges are among the elements too
		c.journal.DeleteElement(rangeSet[familyOf(a)], a.String())
	}
	for _, s := range c.ranges {
		c.journal.DeleteElement(rangeSet[familyOf(s.first)], s.String())
	}
	for _, s := range ranges {
		c.journal.SetElement(rangeSet[familyOf(s.first)], s.String(), nft.Element{})
	}
	c.ranges = ranges
	for a := range c.owners.sole {
		c.gate(a)
	}
	for a := range c.owners.contested {
		c.gate(a)
	}
	for a := range c.attached {
		c.gate(a)
	}
}

// SetAttached tells which addresses the node's kernel shows attached to it, and not to the node itself:
// those of its pods, whether or not any object tells of them. One that no pod of this node is known to
// have is closed, in whatever range it is: its pod has just come, or was forgotten and still runs.
func (c *Compiler) SetAttached(addresses []netip.Addr) {
	before := c.attached
	c.attached = make(map[netip.Addr]bool, len(addresses))
	for _, a := range addresses {
		c.attached[a.Unmap().WithZone("")] = true
	}
	for a := range before {
		if !c.attached[a] {
			c.gate(a)
		}
	}
	for a := range c.attached {
		if !before[a] {
			c.gate(a)
		}
	}
}

// gate opens an address to the policies of the pods that hold it, or closes it.
func (c *Compiler) gate(a netip.Addr) {
	f, text, holders := familyOf(a), a.String(), c.owners.holders(a)
	known := len(holders) > 0 && (holders[0].local || !c.attached[a])
	ranged := within(c.ranges, a)
	if known && ranged {
		c.journal.SetElement(knownSet[f], text, nft.Element{Comment: remark(listed(holders))})
	} else {
		c.journal.DeleteElement(knownSet[f], text)
	}
	switch {
	case ranged: // as one of many
	case c.attached[a] && !known:
		c.journal.SetElement(rangeSet[f], text, nft.Element{})
	default:
		c.journal.DeleteElement(rangeSet[f], text)
	}
}

func within(ranges []span, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(s span) bool { return s.contains(a) })
}

// OutsideRanges tells whether a pod of this node has an address in none of the node's ranges, though it has
// ranges: they are not what the network plugin gives addresses from, and close no pod that is not known yet.
func (c *Compiler) OutsideRanges() bool {
	if len(c.ranges) == 0 {
		return false
	}
	for p := range c.locals {
		if slices.ContainsFunc(p.addresses, func(a address) bool { return !within(c.ranges, a.Addr) }) {
			return true
		}
	}
	return false
}
