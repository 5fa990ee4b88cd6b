package compile

import (
	"maps"
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
	own, l := c.claims.of(p), c.locals[p]
	c.undispatch(p, own)
	for _, direction := range directions {
		was, is := l.groups[direction], c.groupUnder(direction, l.under[direction])
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
	c.dispatch(p, own)
}

// groupUnder returns the group of pods under these policies, or nil if there are none.
func (c *Compiler) groupUnder(direction Direction, policies []*policy) *group {
	if len(policies) == 0 {
		return nil
	}
	names := policyNames(policies)
	key := string(direction) + " " + strings.Join(names, " ")
	g := c.groups[key]
	if g == nil {
		g = &group{key: key, direction: direction, pods: map[*Pod]bool{}, chain: hashedName(string(direction), names[0], key)}
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

// refresh writes the group's chain, if it is to be another one, and forgets a group without pods.
func (c *Compiler) refresh(g *group) {
	if len(g.pods) == 0 {
		c.drop(g)
		return
	}
	of := c.familiesOf(g)
	if !g.changed && slices.Equal(of, g.families) {
		return
	}
	g.changed, g.families = false, of
	d := draft{group: g, mergeAbove: c.mergeAbove}
	d.write()
	for _, demand := range d.demands {
		c.acquire(demand)
	}
	for name, chain := range d.chains {
		if c.chains[name]++; c.chains[name] == 1 {
			c.journal.SetChain(name, chain)
		}
	}
	for name, set := range d.maps {
		c.setMap(name, set)
	}
	c.journal.SetChain(g.chain, nft.Chain{
		Comment: remark(string(g.direction) + " of pods under " + strings.Join(policyNames(g.policies), ", ")), Rules: d.rules,
	})
	c.discardParts(g, d.maps)
	g.uses, g.chains, g.maps = slices.Collect(maps.Keys(d.demands)), slices.Collect(maps.Keys(d.chains)), slices.Collect(maps.Keys(d.maps))
}

func (c *Compiler) drop(g *group) {
	delete(c.groups, g.key)
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

// familiesOf returns those that the group's pods have addresses of.
func (c *Compiler) familiesOf(g *group) []family {
	var out []family
	for _, f := range families {
		for p := range g.pods {
			if slices.ContainsFunc(c.claims.of(p), func(a address) bool { return a.family() == f }) {
				out = append(out, f)
				break
			}
		}
	}
	return out
}

// dispatch sends the packets of an isolated pod to its groups' chains, and lets it talk to itself.
func (c *Compiler) dispatch(p *Pod, own []address) {
	l := c.locals[p]
	if l == nil {
		return
	}
	for direction, g := range l.groups {
		c.stale[g] = true // it may have other families now
		for _, a := range own {
			c.journal.SetElement(dispatchMap[direction][a.family()], a.text, nft.Element{Value: "goto " + g.chain, Comment: remark(p.String())})
		}
	}
	if len(l.groups) > 0 {
		eachPair(own, func(set, key string) { c.journal.SetElement(set, key, nft.Element{}) })
	}
}

// undispatch undoes it.
func (c *Compiler) undispatch(p *Pod, own []address) {
	l := c.locals[p]
	if l == nil {
		return
	}
	for direction, g := range l.groups {
		c.stale[g] = true
		for _, a := range own {
			c.journal.DeleteElement(dispatchMap[direction][a.family()], a.text)
		}
	}
	if len(l.groups) > 0 {
		eachPair(own, c.journal.DeleteElement)
	}
}

// eachPair calls do for every two addresses of one family, and for each with itself.
func eachPair(own []address, do func(set, key string)) {
	for _, a := range own {
		for _, b := range own {
			if a.family() == b.family() {
				do(selfSet[a.family()], nft.Key(a.text, b.text))
			}
		}
	}
}

func policyNames(policies []*policy) []string {
	names := make([]string, 0, len(policies))
	for _, p := range policies {
		names = append(names, p.String())
	}
	return names
}

func podNames(pods map[*Pod]bool) []string {
	names := make([]string, 0, len(pods))
	for p := range pods {
		names = append(names, p.String())
	}
	slices.Sort(names)
	return names
}
