package compile

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/budget"
)

// Compiler keeps the table of one node in step with the cluster's objects, one change at a time. It
// may be told of objects in any order; the table depends on what they are now alone. A pod that comes
// or goes is held against the selectors that rules of this node use, and its cost does not depend on
// how many other pods there are. It is not safe for concurrent use.
type Compiler struct {
	node    string
	journal *nft.Journal

	pods   map[types.NamespacedName]*Pod
	locals map[*Pod]*local // those of this node
	// localPods are those, as they were last asked for.
	localPods     []LocalPod
	localsChanged bool
	owners        ownership
	namespaces    map[string]*namespace
	// selected are the selectors that rules use, by their text.
	selected map[string]*selected
	// setRefs are the sets that rules look up, by name; named those of them that hold named ports.
	setRefs map[string]*setRef
	named   map[namedPort][]*setRef
	// namers are the pods, by the ports that they name.
	namers map[namedPort]map[*Pod]bool

	groups map[string]*group
	// chains are those that groups share, by name, and how many of them do.
	chains map[string]int
	// written are chains that another group may lead to as well.
	written writtenPages
	buffers buffers
	// moved are the pods whose groups may be others, and stale the groups whose chains may be.
	moved map[*Pod]bool
	stale map[*group]bool
	// watched are the selectors of policies whose rules are read, by their text.
	watched map[string]*watched
	// naming is how many addresses pods have that name a port, and watchedPorts are those that such policies name.
	naming       map[naming]int
	watchedPorts map[naming]*watched
	// unweighed are the namespaces whose policies may ask for too much, or no longer, and unmerged those whose
	// groups may copy too much.
	unweighed map[*namespace]bool
	unmerged  map[*namespace]bool
	// limits are those that were set, and within what they are in this cluster, whose pods have total addresses.
	limits, within budget.Limits
	total          int
	// troubled are the policies that have problems.
	troubled map[*policy]bool

	mergeAbove int
	mark       Mark
	addresses  []netip.Addr // of this node
	ranges     []span       // that this node gives to pods
	attached   map[netip.Addr]bool
	// joints are the groups of addresses that several pods of this node hold.
	joints map[netip.Addr][]*group
}

// New returns a compiler for the node of this name that knows no object yet.
func New(node string) *Compiler {
	return &Compiler{
		node: node, journal: nft.NewJournal(skeleton()),
		pods: map[types.NamespacedName]*Pod{}, locals: map[*Pod]*local{}, owners: newOwnership(),
		namespaces: map[string]*namespace{}, selected: map[string]*selected{},
		setRefs: map[string]*setRef{}, named: map[namedPort][]*setRef{}, namers: map[namedPort]map[*Pod]bool{},
		groups: map[string]*group{}, chains: map[string]int{}, moved: map[*Pod]bool{}, stale: map[*group]bool{},
		watched: map[string]*watched{}, naming: map[naming]int{}, watchedPorts: map[naming]*watched{},
		unweighed: map[*namespace]bool{}, unmerged: map[*namespace]bool{}, limits: budget.Defaults(),
		troubled: map[*policy]bool{}, joints: map[netip.Addr][]*group{}, mergeAbove: mergeAbove, mark: DefaultMark,
	}
}

// MergeAbove changes how many peers may share their ports before they are looked up as one, which is
// 4; for tests, before the first object is set.
func (c *Compiler) MergeAbove(n int) { c.mergeAbove = n }

// Journal returns the table, in step with all objects, and what changed in it since it was last
// committed. Whoever writes it stamps it first.
func (c *Compiler) Journal() *nft.Journal {
	c.settle()
	return c.journal
}

// UseMark changes the bits of the ct mark that hold the stamp, which are DefaultMark; before the first Stamp.
func (c *Compiler) UseMark(m Mark) { c.mark = m }

// Stamp makes the table one of the given generation, 1 to the mark's Last; with 0 it stamps no connection, and
// every packet is judged.
func (c *Compiler) Stamp(generation uint16) {
	for name, chain := range c.mark.stamped(generation) {
		c.journal.SetChain(name, chain)
	}
}

// Policies returns those that isolate a pod of this node, sorted.
func (c *Compiler) Policies() []types.NamespacedName {
	inUse := map[types.NamespacedName]bool{}
	for _, l := range c.locals {
		for _, direction := range directions {
			for _, p := range l.under[direction] {
				inUse[types.NamespacedName{Namespace: p.namespace, Name: p.name}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(inUse), func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

// Counts is how much a node enforces.
type Counts struct {
	// Pods are those of this node that have an address of their own.
	Pods int
	// Groups are the sets of local pods that share a chain.
	Groups int
}

// Counts counts what the table holds.
func (c *Compiler) Counts() Counts { return Counts{Pods: len(c.locals), Groups: len(c.groups)} }

// Gated tells whether the node's object names ranges: without, every address is open.
func (c *Compiler) Gated() bool { return len(c.ranges) > 0 }

// Problems returns the parts of policies that cannot be enforced, sorted.
func (c *Compiler) Problems() []Problem {
	c.settle()
	var out []Problem
	for p := range c.troubled {
		out = append(out, p.allProblems()...)
	}
	slices.SortFunc(out, func(a, b Problem) int { return cmp.Compare(a.Error(), b.Error()) })
	return out
}

// settle finds the groups that pods are in now, and writes the chains of those that are not as they
// were. It waits until all changes are known: a pod that a thousand policies select would move from
// group to group as they come.
func (c *Compiler) settle() {
	for p := range c.moved {
		c.regroup(p)
	}
	clear(c.moved)
	for g := range c.stale {
		if g.weighed == g.empty() {
			g.weighed = !g.empty()
			c.unweighed[c.namespaces[g.policies[0].namespace]] = true
		}
	}
	c.relimit()
	delete(c.unweighed, nil) // of a namespace that is gone
	for s := range c.unweighed {
		c.weigh(s)
	}
	clear(c.unweighed)
	c.write()
	delete(c.unmerged, nil)
	for s := range c.unmerged {
		c.flatten(s)
	}
	c.write()
	clear(c.unmerged)
}

// write writes the chains of groups that are not as they were.
func (c *Compiler) write() {
	// Groups without pods go last: most of what they look up is looked up by those that their pods are in now.
	for g := range c.stale {
		if !g.empty() {
			c.refresh(g)
		}
	}
	for g := range c.stale {
		if g.empty() {
			c.drop(g)
		}
	}
	clear(c.stale)
}
