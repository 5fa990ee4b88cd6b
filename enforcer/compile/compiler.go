package compile

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/budget"
)

// Compiler keeps the table of one node in step with the cluster's objects, one change at a time. It
// may be told of objects in any order; the table depends on what they are now alone. A pod that comes
// or goes is held against the selectors that rules of this node use, and its cost does not depend on
// how many other pods there are. It is not safe for concurrent use.
type Compiler struct {
	tracker *nft.DeltaTracker
	// index knows all pods and namespaces, and puts the members into the sets that chains look up.
	index    *ipset.Index
	locals   *locals
	policies *policies
	budgets  *budgets
	groups   *groups
	dispatch *dispatcher
	chains   *chains
	gate     *gate
	mark     Mark
	shape    shape
}

// New returns a compiler for the node of this name that knows no object yet.
func New(node string) *Compiler {
	tracker := nft.NewDeltaTracker(skeleton(shape{}))
	index := ipset.New(members{tracker})
	c := &Compiler{
		tracker: tracker, index: index, mark: DefaultMark,
		locals:  &locals{pods: map[*ipset.Pod]*local{}, moved: map[*ipset.Pod]bool{}},
		groups:  &groups{index: index, byKey: map[string]*group{}, stale: map[*group]bool{}},
		budgets: newBudgets(index),
		gate:    &gate{node: node, tracker: tracker, index: index},
		chains: &chains{
			tracker: tracker, sets: sets{tracker, index, map[string]int{}}, refs: map[string]int{}, mergeAbove: mergeAbove,
		},
	}
	c.dispatch = &dispatcher{tracker, index, c.locals, c.groups, map[netip.Addr][]*group{}}
	c.policies = &policies{
		namespaces: map[string]*namespace{}, troubled: map[*policy]bool{}, locals: c.locals, groups: c.groups, budgets: c.budgets,
	}
	return c
}

// MergeAbove changes how many peers may share their ports before they are looked up as one, which is
// 4; for tests, before the first object is set.
func (c *Compiler) MergeAbove(n int) { c.chains.mergeAbove = n }

// Limit changes how much policies may ask for, which are budget.Defaults; before the first object is set.
func (c *Compiler) Limit(l budget.Limits) { c.budgets.limits = l }

// UseMark changes the bits of the ct mark that hold the stamp, which are DefaultMark; before the first Stamp.
func (c *Compiler) UseMark(m Mark) { c.mark = m }

// Tracker returns the table, in step with all objects, and what changed in it since it was last
// committed. Whoever writes it stamps it first.
func (c *Compiler) Tracker() *nft.DeltaTracker {
	c.settle()
	return c.tracker
}

// Stamp makes the table one of the given generation, 1 to the mark's Last; with 0 it stamps no connection, and
// every packet is judged.
func (c *Compiler) Stamp(generation uint16) {
	for name, chain := range c.stamped(generation) {
		c.tracker.SetChain(name, chain)
	}
}

// settle finds the groups that pods are in now, and writes the chains of those that are not as they
// were. It waits until all changes are known: a pod that a thousand policies select would move from
// group to group as they come.
func (c *Compiler) settle() {
	for p := range c.locals.moved {
		c.dispatch.regroup(p)
	}
	clear(c.locals.moved)
	for g := range c.groups.stale {
		if g.weighed == g.empty() {
			g.weighed = !g.empty()
			c.budgets.unweighed[g.namespace()] = true
		}
	}
	c.policies.relimit()
	for s := range c.budgets.unweighed {
		c.policies.weigh(s)
	}
	clear(c.budgets.unweighed)
	c.write()
	for s := range c.budgets.unmerged {
		c.policies.flatten(s)
	}
	c.write()
	clear(c.budgets.unmerged)
}

// write writes the chains of groups that are not as they were.
func (c *Compiler) write() {
	// Groups without pods go last: most of what they look up is looked up by those that their pods are in now.
	for g := range c.groups.stale {
		if !g.empty() {
			c.refresh(g)
		}
	}
	for g := range c.groups.stale {
		if g.empty() {
			c.groups.drop(g)
			c.chains.delete(g)
			c.budgets.unmerged[g.namespace()] = true
		}
	}
	clear(c.groups.stale)
}

// refresh writes the chain of a group with pods, if it is to be another one.
func (c *Compiler) refresh(g *group) {
	of := c.groups.familiesOf(g)
	if !g.changed && slices.Equal(of, g.written.families) {
		return
	}
	g.changed = false
	g.merging = c.chains.write(g, of, g.namespace().plain)
	c.budgets.unmerged[g.namespace()] = true
}

// Policies returns those that isolate a pod of this node, sorted.
func (c *Compiler) Policies() []types.NamespacedName { return c.inUse(directions) }

// StagedPolicies returns those that would isolate one, sorted.
func (c *Compiler) StagedPolicies() []types.NamespacedName { return c.inUse(stagedDirections) }

func (c *Compiler) inUse(of []Direction) []types.NamespacedName {
	inUse := map[types.NamespacedName]bool{}
	for _, l := range c.locals.pods {
		for _, direction := range of {
			for _, p := range l.under[direction] {
				inUse[types.NamespacedName{Namespace: p.namespace, Name: p.name}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(inUse), func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

// Problems returns the parts of policies that cannot be enforced, sorted.
func (c *Compiler) Problems() []Problem {
	c.settle()
	var out []Problem
	for p := range c.policies.troubled {
		out = append(out, p.allProblems()...)
	}
	slices.SortFunc(out, func(a, b Problem) int { return cmp.Compare(a.Error(), b.Error()) })
	return out
}

// Counts is how much a node enforces.
type Counts struct {
	// Pods are those of this node that have an address of their own.
	Pods int
	// Groups are the sets of local pods that share a chain.
	Groups int
}

// Counts counts what the table holds.
func (c *Compiler) Counts() Counts {
	return Counts{Pods: len(c.locals.pods), Groups: len(c.groups.byKey)}
}

// SetLinks tells of interfaces by name: those that lead out of the node, and bridges that pods are on; and of the
// ports of UDP at which the node takes packets out of packets.
func (c *Compiler) SetLinks(uplinks, bridges []string, tunnels []uint16) {
	c.setKeys(uplinkSet, quoted(uplinks))
	c.setKeys(bridgeSet, quoted(bridges))
	var ports []string
	for _, port := range tunnels {
		ports = append(ports, strconv.Itoa(int(port)))
	}
	c.setKeys(tunnelSet, ports)
}

func quoted(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, strconv.Quote(name))
	}
	return out
}

// setKeys makes these the elements of a set.
func (c *Compiler) setKeys(set string, keys []string) {
	for key := range c.tracker.Table().Sets[set].Elements {
		if !slices.Contains(keys, key) {
			c.tracker.DeleteElement(set, key)
		}
	}
	for _, key := range keys {
		c.tracker.SetElement(set, key, nft.Element{})
	}
}

// BindAddresses says whether packets of pods are dropped that are not from an address that is routed to the
// pod. They are, unless this says otherwise.
func (c *Compiler) BindAddresses(yes bool) {
	chain := c.tracker.Table().Chains[sourceChain]
	if yes == (len(chain.Rules) > 0) {
		return
	}
	chain.Rules = nil
	if yes {
		chain.Rules = sourceRules()
	}
	c.tracker.SetChain(sourceChain, chain)
}
