package compile

import (
	"errors"
	"math"
	"slices"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/policy/budget"
)

// budgets counts what policies ask for.
type budgets struct {
	index *ipset.Index
	// limits are those that were set, and within what they are in this cluster.
	limits, within budget.Limits
	// selectors are the demands for those of policies whose rules are read, by their text, and ports for the names of
	// ports in them.
	selectors map[string]*demand
	ports     map[ipset.PortRef]*demand
	// unweighed are the namespaces whose policies may ask for too much, or no longer, and unmerged those whose
	// groups may copy too much.
	unweighed, unmerged map[*namespace]bool
}

// demand is the policies that ask for a selector or the name of a port, and how many addresses it stands for.
type demand struct {
	*ipset.Count
	text string        // of a selector
	port ipset.PortRef // if it is for one
	by   map[*policy]bool
}

// asked is the different demands of a policy's rules, and how many addresses they stand for, each counted.
type asked struct {
	demands   map[*demand]bool
	addresses int
}

func newBudgets(index *ipset.Index) *budgets {
	return &budgets{
		index: index, limits: budget.Defaults(), selectors: map[string]*demand{}, ports: map[ipset.PortRef]*demand{},
		unweighed: map[*namespace]bool{}, unmerged: map[*namespace]bool{},
	}
}

// count counts what the policy's peers select, each different one once.
func (b *budgets) count(p *policy) {
	p.demands = map[*demand]bool{}
	for _, side := range p.sides {
		for _, r := range side.rules {
			for _, s := range r.peers.selectors {
				p.asksFor(b.selector(&s.Selector))
			}
			for _, m := range r.ports {
				if m.spec != nil && m.spec.Port != nil {
					p.asksFor(b.port(*m.spec.Port))
				}
			}
		}
	}
	p.in.addresses += p.addresses
}

func (p *policy) asksFor(d *demand) {
	if !p.demands[d] {
		p.demands[d], d.by[p] = true, true
		p.addresses += d.Addresses()
	}
}

func (b *budgets) selector(s *ipset.Selector) *demand {
	d := b.selectors[s.Text]
	if d == nil {
		d = &demand{text: s.Text, by: map[*policy]bool{}}
		d.Count = b.index.Count(s, func(by int) { b.recount(d, by) })
		b.selectors[s.Text] = d
	}
	return d
}

func (b *budgets) port(name ipset.PortRef) *demand {
	d := b.ports[name]
	if d == nil {
		d = &demand{port: name, by: map[*policy]bool{}}
		d.Count = b.index.CountPort(name, func(by int) { b.recount(d, by) })
		b.ports[name] = d
	}
	return d
}

// stopCount stops to count what the policy alone asks for.
func (b *budgets) stopCount(p *policy) {
	for d := range p.demands {
		if delete(d.by, p); len(d.by) > 0 {
			continue
		}
		b.index.StopCount(d.Count)
		delete(b.selectors, d.text)
		delete(b.ports, d.port)
	}
	p.in.addresses -= p.addresses
	p.asked = asked{}
}

// recount adds to what the policies of a demand ask for.
func (b *budgets) recount(d *demand, addresses int) {
	changes := func(count *int, by, limit int) bool {
		before := *count
		*count += by
		return before > limit || *count > limit
	}
	var seen []*namespace
	for p := range d.by {
		s := p.in
		if changes(&p.addresses, addresses, b.within.Policy.Addresses) {
			b.unweighed[s] = true
		}
		if changes(&s.addresses, addresses, b.within.Namespace.Addresses) {
			b.unweighed[s] = true
		}
		if slices.Contains(seen, s) {
			continue
		}
		if seen = append(seen, s); changes(&s.merged, addresses*s.merging.of[d.text], b.within.Namespace.Addresses) {
			b.unmerged[s] = true
		}
	}
}

// relimit finds what policies may ask for in a cluster of another size.
func (ps *policies) relimit() {
	b := ps.budgets
	within := b.limits.In(b.index.Total())
	if within == b.within {
		return
	}
	least := min(within.Policy.Addresses, within.Namespace.Addresses, b.within.Policy.Addresses, b.within.Namespace.Addresses)
	b.within = within
	for _, s := range ps.namespaces {
		if s.addresses > least {
			b.unweighed[s] = true
		}
		if s.merged > least {
			b.unmerged[s] = true
		}
	}
}

// weigh decides which policies of a namespace ask for too much. Enforced ones isolate the pods that they select then,
// and allow nothing; staged ones, which have a budget of their own so that they cost no enforced one its rules, are not asked.
func (ps *policies) weigh(s *namespace) {
	if len(s.locals) == 0 {
		return
	}
	ps.weighAll(s.name, s.policies)
	ps.weighAll(s.name, s.staged)
}

// weighAll counts first what policies say, and only the rules of the others are read; then what that comes to in this
// cluster and on this node.
func (ps *policies) weighAll(namespace string, all map[string]*policy) {
	said := ps.budgets.tooMuch(namespace, all, func(p *policy) budget.Cost { return p.cost })
	for name, p := range all {
		if said[name] != nil || p.refused != nil {
			ps.forgetRules(p)
		} else {
			ps.readRules(p)
		}
	}
	comesTo := ps.budgets.tooMuch(namespace, all, func(p *policy) budget.Cost {
		cost := p.cost
		if p.open {
			cost.Addresses, cost.Copies = p.addresses, p.copies()
		}
		return cost
	})
	for name, p := range all {
		ps.setExcess(p, comesTo[name])
	}
}

// tooMuch returns why policies of a namespace are refused, by name.
func (b *budgets) tooMuch(namespace string, all map[string]*policy, cost func(*policy) budget.Cost) map[string]error {
	var total budget.Cost
	within := true
	for _, p := range all {
		one := cost(p)
		total = total.Add(one)
		within = within && one.Within(b.within.Policy)
	}
	if within && total.Within(b.within.Namespace) {
		return nil
	}
	policies := make([]budget.Policy, 0, len(all))
	for _, p := range all {
		policies = append(policies, budget.Policy{Name: p.name, Created: p.created, UID: p.uid, Cost: cost(p)})
	}
	return b.within.Refused(namespace, policies)
}

// copies is how often the policy's rules and ports are written down: once for each group. Groups without
// pods are about to go. A staged policy answers for all that its groups hold, which would not be there without it, and
// an enforced one not for what staged ones add.
func (p *policy) copies() int {
	n := 0
	for g := range p.groups {
		switch {
		case g.empty() || g.direction.isStaged() != p.staged:
		case p.staged:
			for _, other := range g.policies {
				n += other.cost.Rules + other.cost.Ports
			}
		default:
			n += p.cost.Rules + p.cost.Ports
		}
	}
	return n
}

func (ps *policies) setExcess(p *policy, err error) {
	if errors.Is(p.excess, err) {
		return
	}
	p.excess = err
	ps.rewrite(p)
}

// rewrite has the chains of the policy's groups written again.
func (ps *policies) rewrite(p *policy) {
	if len(p.allProblems()) > 0 {
		ps.troubled[p] = true
	} else {
		delete(ps.troubled, p)
	}
	for g := range p.groups {
		ps.groups.rewrite(g)
	}
}

// merging is how much the sets hold that are of several peers, besides those of each peer.
type merging struct {
	of   map[string]int // how many of them a selector is in, by its text
	sets int
}

// setWorth is what a set costs besides its addresses, in addresses.
const setWorth = 100

func (b *budgets) cost(m merging) int {
	total := m.sets * setWorth
	for text, n := range m.of {
		if d := b.selectors[text]; d != nil {
			total += n * d.Addresses()
		}
	}
	return total
}

// flatten decides whether the peers of a namespace's rules are still looked up together. That copies
// addresses: where it would copy more than a namespace may select, its rules are met one by one, which
// costs the packets of its own pods alone.
func (ps *policies) flatten(s *namespace) {
	all := merging{of: map[string]int{}}
	var of []*group
	for _, g := range ps.groups.byKey {
		if g.namespace() != s {
			continue
		}
		of = append(of, g)
		all.sets += g.merging.sets
		for text, n := range g.merging.of {
			all.of[text] += n
		}
	}
	s.merging, s.merged = all, ps.budgets.cost(all)
	if plain := s.merged > ps.budgets.within.Namespace.Addresses; plain != s.plain {
		s.plain = plain
		for _, g := range of {
			ps.groups.rewrite(g)
		}
	}
}

// oneByOne is a threshold that nothing is above.
const oneByOne = math.MaxInt
