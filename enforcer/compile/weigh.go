package compile

import (
	"errors"
	"math"

	"github.com/apptier/apptier/policy/budget"
)

// Limit changes how much policies may ask for, which are budget.Defaults; before the first object is set.
func (c *Compiler) Limit(l budget.Limits) { c.limits = l }

// relimit finds what policies may ask for in a cluster of another size.
func (c *Compiler) relimit() {
	within := c.limits.In(c.total)
	if within == c.within {
		return
	}
	least := min(within.Policy.Addresses, within.Namespace.Addresses, c.within.Policy.Addresses, c.within.Namespace.Addresses)
	c.within = within
	for _, s := range c.namespaces {
		if s.addresses > least {
			c.unweighed[s] = true
		}
		if s.merged > least {
			c.unmerged[s] = true
		}
	}
}

// weigh decides which policies of a namespace ask for too much. These isolate the pods that they select, and
// allow nothing. First it is counted what they say, and only the rules of the others are read; then what
// that comes to in this cluster and on this node.
func (c *Compiler) weigh(s *namespace) {
	if len(s.locals) == 0 {
		return
	}
	said := c.tooMuch(s, func(p *policy) budget.Cost { return p.cost })
	for name, p := range s.policies {
		if said[name] != nil || p.refused != nil {
			c.unreadRules(p)
		} else {
			c.readRules(p)
		}
	}
	comesTo := c.tooMuch(s, func(p *policy) budget.Cost {
		cost := p.cost
		if p.open {
			cost.Addresses, cost.Copies = p.addresses, p.copies()
		}
		return cost
	})
	for name, p := range s.policies {
		c.setExcess(p, comesTo[name])
	}
}

// tooMuch returns why policies of a namespace are refused, by name.
func (c *Compiler) tooMuch(s *namespace, cost func(*policy) budget.Cost) map[string]error {
	var total budget.Cost
	within := true
	for _, p := range s.policies {
		one := cost(p)
		total = total.Add(one)
		within = within && one.Within(c.within.Policy)
	}
	if within && total.Within(c.within.Namespace) {
		return nil
	}
	policies := make([]budget.Policy, 0, len(s.policies))
	for _, p := range s.policies {
		policies = append(policies, budget.Policy{Name: p.name, Created: p.created, UID: p.uid, Cost: cost(p)})
	}
	return c.within.Refused(s.name, policies)
}

// copies is how often the policy's rules and ports are written down: once for each group. Groups without
// pods are about to go.
func (p *policy) copies() int {
	n := 0
	for g := range p.groups {
		if !g.empty() {
			n += p.cost.Rules + p.cost.Ports
		}
	}
	return n
}

func (c *Compiler) setExcess(p *policy, err error) {
	if errors.Is(p.excess, err) {
		return
	}
	p.excess = err
	c.rewrite(p)
}

// rewrite has the chains of the policy's groups written again.
func (c *Compiler) rewrite(p *policy) {
	if len(p.allProblems()) > 0 {
		c.troubled[p] = true
	} else {
		delete(c.troubled, p)
	}
	for g := range p.groups {
		g.changed, c.stale[g] = true, true
	}
}

// merging is how much the sets hold that are of several peers, besides those of each peer.
type merging struct {
	of   map[string]int // how many of them a selector is in, by its text
	sets int
}

// setWorth is what a set costs besides its addresses, in addresses.
const setWorth = 100

func (m merging) cost(c *Compiler) int {
	total := m.sets * setWorth
	for text, n := range m.of {
		if w := c.watched[text]; w != nil {
			total += n * w.addresses
		}
	}
	return total
}

// flatten decides whether the peers of a namespace's rules are still looked up together. That copies
// addresses: where it would copy more than a namespace may select, its rules are met one by one, which
// costs the packets of its own pods alone.
func (c *Compiler) flatten(s *namespace) {
	all := merging{of: map[string]int{}}
	var of []*group
	for _, g := range c.groups {
		if g.policies[0].namespace != s.name {
			continue
		}
		of = append(of, g)
		all.sets += g.merging.sets
		for text, n := range g.merging.of {
			all.of[text] += n
		}
	}
	s.merging, s.merged = all, all.cost(c)
	if plain := s.merged > c.within.Namespace.Addresses; plain != s.plain {
		s.plain = plain
		for _, g := range of {
			g.changed, c.stale[g] = true, true
		}
	}
}

// oneByOne is a threshold that nothing is above.
const oneByOne = math.MaxInt
