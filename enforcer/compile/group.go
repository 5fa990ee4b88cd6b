package compile

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
)

// local is a pod of this node: the policies that isolate it, by name, and the groups that follow.
type local struct {
	under  map[Direction][]*policy
	groups map[Direction]*group
}

// group is the pods of this node that the same policies isolate in one direction.
type group struct {
	key       string // direction and policies
	direction Direction
	policies  []*policy // sorted by name; all of one namespace
	pods      map[*Pod]bool
	chain     string

	// then is another group that must allow too what this one allows: see claims. Such a group has no pods
	// but addresses.
	then      *group
	addresses map[netip.Addr]bool

	// merging is what its rules have copied to look peers up together, if they may.
	merging  merging
	weighed  bool     // it had pods when its policies were weighed
	changed  bool     // its policies did, since its chain was written
	families []family // those that the chain was written for
	uses     []string // sets that the chain looks up
	chains   []string // those that it leads to by port, and the maps that it does with
	maps     []string
}

var (
	dispatchMap = map[Direction]map[family]string{Egress: egressMap, Ingress: ingressMap}
	deniedChain = map[Direction]string{Egress: deniedEgress, Ingress: deniedIngress}
)

// regroup puts a pod into the groups of the policies that isolate it now.
func (c *Compiler) regroup(p *Pod) {
	l := c.locals[p]
	c.undispatch(p)
	for _, direction := range directions {
		was, is := l.groups[direction], c.groupUnder(direction, l.under[direction], nil)
		if was != nil && was != is {
			delete(was.pods, p)
			c.stale[was] = true
			delete(l.groups, direction)
		}
		if is != nil {
			is.pods[p] = true
			l.groups[direction] = is
		}
	}
	c.dispatch(p)
}

// groupUnder returns the group of pods under these policies, or nil if there are none; or that of addresses
// under them and under those of another group.
func (c *Compiler) groupUnder(direction Direction, policies []*policy, then *group) *group {
	if len(policies) == 0 {
		return nil
	}
	names := policyNames(policies)
	key := string(direction) + " " + strings.Join(names, " ")
	if then != nil {
		key += ", then " + then.key
	}
	g := c.groups[key]
	if g == nil {
		g = &group{
			key: key, direction: direction, pods: map[*Pod]bool{}, chain: hashedName(string(direction), names[0], key),
			then: then, addresses: map[netip.Addr]bool{},
		}
		c.groups[key] = g
	}
	if !slices.Equal(g.policies, policies) { // it is new, or one of them was deleted and made again
		for _, p := range g.policies {
			delete(p.groups, g)
		}
		g.policies, g.changed = slices.Clone(policies), true
		for _, p := range g.policies {
			if p.groups == nil {
				p.groups = map[*group]bool{}
			}
			p.groups[g] = true
		}
	}
	c.stale[g] = true
	return g
}

// empty tells whether nothing is in the group any more.
func (g *group) empty() bool { return len(g.pods)+len(g.addresses) == 0 }

// refresh writes the chain of a group with pods, if it is to be another one.
func (c *Compiler) refresh(g *group) {
	of := c.familiesOf(g)
	if !g.changed && slices.Equal(of, g.families) {
		return
	}
	g.changed, g.families = false, of
	d := draft{group: g, mergeAbove: c.mergeAbove, written: &c.written, buffers: &c.buffers}
	d.write()
	s := c.namespaces[g.policies[0].namespace]
	g.merging, c.unmerged[s] = d.merging, true
	if s.plain {
		d = draft{group: g, mergeAbove: oneByOne, written: &c.written, buffers: &c.buffers}
		d.write()
	}
	for _, spec := range d.specs {
		c.acquire(spec)
	}
	for name, chain := range d.chains {
		if c.chains[name]++; c.chains[name] == 1 {
			c.journal.SetChain(name, chain)
		}
	}
	for name, set := range d.maps {
		c.setMap(name, set)
	}
	c.journal.SetChain(g.chain, nft.Chain{Comment: remark(g.remark()), Rules: d.rules})
	c.discardParts(g, d.maps)
	g.uses, g.chains, g.maps = slices.Collect(maps.Keys(d.specs)), slices.Collect(maps.Keys(d.chains)), slices.Collect(maps.Keys(d.maps))
}

func (g *group) remark() string {
	text := string(g.direction) + " of pods under " + strings.Join(policyNames(g.policies), ", ")
	if g.then != nil {
		text = "several pods claim the address: " + text
	}
	return text
}

// drop forgets a group without pods.
func (c *Compiler) drop(g *group) {
	delete(c.groups, g.key)
	c.unmerged[c.namespaces[g.policies[0].namespace]] = true
	for _, p := range g.policies {
		delete(p.groups, g)
	}
	c.journal.DeleteChain(g.chain)
	c.discardParts(g, nil)
}

// discardParts lets go what the group's chain led to and looked up, but for the maps that stay.
func (c *Compiler) discardParts(g *group, maps map[string]nft.Set) {
	for _, name := range g.chains {
		if c.chains[name]--; c.chains[name] == 0 {
			delete(c.chains, name)
			c.written.forget(name)
			c.journal.DeleteChain(name)
		}
	}
	for _, name := range g.maps {
		if _, stays := maps[name]; !stays {
			c.journal.DeleteSet(name)
		}
	}
	for _, name := range g.uses {
		c.release(name)
	}
}

// setMap makes a map that is the group's own what it is to be.
func (c *Compiler) setMap(name string, wanted nft.Set) {
	now, there := c.journal.Table().Sets[name]
	if !there {
		c.journal.AddSet(name, wanted)
		return
	}
	for key := range now.Elements {
		if _, stays := wanted.Elements[key]; !stays {
			c.journal.DeleteElement(name, key)
		}
	}
	for key, e := range wanted.Elements {
		c.journal.SetElement(name, key, e)
	}
}

func policyNames(policies []*policy) []string {
	names := make([]string, 0, len(policies))
	for _, p := range policies {
		names = append(names, p.String())
	}
	return names
}

// podNames returns the pods of a group, among them those that hold its addresses together.
func (c *Compiler) podNames(g *group) []string {
	names := make([]string, 0, len(g.pods))
	for p := range g.pods {
		names = append(names, p.String())
	}
	for a := range g.addresses {
		for _, p := range c.owners.holders(a) {
			names = append(names, p.String())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
