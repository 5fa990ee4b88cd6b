package compile

import (
	"errors"
	"math"
	"slices"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/policy/budget"
)

// budgets counts how many addresses the policies use.
type budgets struct {
	index *ipset.Index
	// limits are the configured limits. within are the limits that follow from them for a cluster of this size.
	limits, within budget.Limits
	// selectors and ports are the demands of the policies whose rules are parsed, by selector text and by named port.
	selectors map[string]*demand
	ports     map[ipset.PortRef]*demand
	// unweighed are the namespaces whose policies have to be weighed again. unmerged are those for which flatten has to
	// decide again.
	unweighed, unmerged map[*namespace]bool
}

// demand is a selector or a named port, the number of addresses that it matches, and the policies that use it.
type demand struct {
	*ipset.Count
	text string        // the text of the selector
	port ipset.PortRef // the named port, if the demand is for one
	by   map[*policy]bool
}

// asked holds the distinct demands of a policy's rules, and the sum of the addresses that they match.
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

// count starts counting the addresses that the policy's peers and named ports match. It counts each distinct one once.
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

// stopCount stops counting for a policy. It drops the demands that no other policy has.
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

// recount adds addresses, which may be negative, to all counts that include the demand. It marks the namespaces for which
// a count is or was above its limit.
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

// relimit recomputes the limits when the size of the cluster has changed.
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

// weigh decides which policies of a namespace exceed the budget. An enforced policy above the budget isolates the pods
// that it selects, and allows nothing. A staged policy above it is not evaluated. Staged policies have a budget of their
// own, so that they never take rules from an enforced policy.
func (ps *policies) weigh(s *namespace) {
	if len(s.locals) == 0 {
		return
	}
	ps.weighAll(s.name, s.policies)
	ps.weighAll(s.name, s.staged)
}

// weighAll weighs policies twice. The first pass counts what the specs contain. It parses only the rules of policies
// within the budget. The second pass counts the addresses that these rules match in the cluster, and the copies of the
// rules on this node.
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

// tooMuch returns an error for each policy of a namespace that exceeds the budget, by name.
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

// copies returns how many rules and ports are written to the ruleset because of the policy: its own, once for each
// group. Empty groups do not count, since they are about to be deleted. A staged policy is charged for all rules of its
// groups, because these groups would not exist without it. An enforced policy is not charged for staged groups.
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

// rewrite marks the chains of the policy's groups to be written again, and updates which policies are troubled.
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

// merging describes merged sets. A merged set holds the addresses of several peers. It exists beside the set of each peer.
type merging struct {
	of   map[string]int // the number of merged sets that contain a selector, by its text
	sets int            // the number of merged sets
}

// setWorth is the cost of a set itself, in addresses. Each address in it costs one more.
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

// flatten decides whether a namespace may merge the sets of its peers. Merging saves lookups and copies addresses. A
// namespace that would copy more addresses than its budget does not merge. Its packets then pass the rules one by one,
// which slows down the pods of that namespace only.
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

// oneByOne is a value of mergeAbove with which nothing is merged.
const oneByOne = math.MaxInt
