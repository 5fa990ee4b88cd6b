package compile

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
)

// familiesOf returns those that the group's pods have addresses of.
func (c *Compiler) familiesOf(g *group) []family {
	var out []family
	for _, f := range families {
		if c.hasFamily(g, f) {
			out = append(out, f)
		}
	}
	return out
}

func (c *Compiler) hasFamily(g *group, f family) bool {
	for p := range g.pods {
		if slices.ContainsFunc(c.owners.of(p), func(a address) bool { return a.family() == f }) {
			return true
		}
	}
	for a := range g.addresses {
		if familyOf(a) == f {
			return true
		}
	}
	return false
}

// dispatch sends the packets of an isolated pod to its groups' chains, and lets any pod talk to itself.
func (c *Compiler) dispatch(p *Pod) {
	l := c.locals[p]
	if l == nil {
		return
	}
	own := c.owners.of(p)
	for direction, g := range l.groups {
		c.stale[g] = true // it may have other families now
		for _, a := range own {
			if len(c.owners.together(a.Addr)) == 0 {
				c.journal.SetElement(dispatchMap[direction][a.family()], a.text, nft.Element{Value: "goto " + g.chain, Comment: remark(p.String())})
			}
		}
	}
	for _, a := range own {
		if holders := c.owners.together(a.Addr); len(holders) > 0 {
			c.dispatchTogether(a, holders)
		}
	}
	c.eachPair(own, func(set, key string) { c.journal.SetElement(set, key, nft.Element{}) })
}

// undispatch undoes it.
func (c *Compiler) undispatch(p *Pod) {
	l := c.locals[p]
	if l == nil {
		return
	}
	own := c.owners.of(p)
	for direction, g := range l.groups {
		c.stale[g] = true
		for _, a := range own {
			c.journal.DeleteElement(dispatchMap[direction][a.family()], a.text)
		}
	}
	for _, a := range own {
		c.part(a.Addr)
	}
	c.eachPair(own, func(set, key string) { c.journal.DeleteElement(set, key) })
}

// dispatchTogether sends the packets of an address that several pods hold through the chains of all that
// are isolated, one after another.
func (c *Compiler) dispatchTogether(a address, holders []*Pod) {
	c.part(a.Addr)
	for _, direction := range directions {
		var isolating []*group
		for _, p := range holders {
			if g := c.locals[p].groups[direction]; g != nil && !slices.Contains(isolating, g) {
				isolating = append(isolating, g)
			}
		}
		set := dispatchMap[direction][a.family()]
		if len(isolating) == 0 {
			c.journal.DeleteElement(set, a.text)
			continue
		}
		c.journal.SetElement(set, a.text, nft.Element{Value: "goto " + c.joint(a, isolating).chain, Comment: remark(listed(holders))})
	}
}

// joint returns the group of an address that is under the policies of each of several.
func (c *Compiler) joint(a address, groups []*group) *group {
	if len(groups) == 1 {
		return groups[0]
	}
	g := c.groupUnder(groups[0].direction, groups[0].policies, c.joint(a, groups[1:]))
	g.addresses[a.Addr] = true
	c.joints[a.Addr] = append(c.joints[a.Addr], g)
	return g
}

// part takes an address out of the groups that are for it and others like it.
func (c *Compiler) part(a netip.Addr) {
	for _, g := range c.joints[a] {
		delete(g.addresses, a)
		c.stale[g] = true
	}
	delete(c.joints, a)
}

// eachPair calls do for every two addresses of one family that are the same pod's, and for each with itself.
func (c *Compiler) eachPair(own []address, do func(set, key string)) {
	for _, a := range own {
		for _, b := range own {
			if a.family() == b.family() && slices.Equal(c.owners.together(a.Addr), c.owners.together(b.Addr)) {
				do(selfSet[a.family()], nft.Key(a.text, b.text))
			}
		}
	}
}

// listed names pods for people.
func listed(pods []*Pod) string {
	names := make([]string, 0, len(pods))
	for _, p := range pods {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}
