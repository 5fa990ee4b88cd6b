package compile

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/nft"
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
	claims claims
	spaces map[string]*space
	// selected are the selectors that rules use, by their text.
	selected map[string]*selected
	// uses are the sets that rules look up, by name; named those of them that hold named ports.
	uses  map[string]*use
	named map[namedPort][]*use

	groups map[string]*group
	// chains are those that groups share, by name, and how many of them do.
	chains map[string]int
	// moved are the pods whose groups may be others, and stale the groups whose chains may be.
	moved map[*Pod]bool
	stale map[*group]bool
	// troubled are the policies that have problems.
	troubled map[*policy]bool

	mergeAbove int
	addresses  []netip.Addr // of this node
	nodes      map[netip.Addr]int
	prefixes   []netip.Prefix // that this node gives to pods
	ranges     []span
}

// New returns a compiler for the node of this name that knows no object yet.
func New(node string) *Compiler {
	return &Compiler{
		node: node, journal: nft.NewJournal(skeleton()),
		pods: map[types.NamespacedName]*Pod{}, locals: map[*Pod]*local{}, claims: newClaims(),
		spaces: map[string]*space{}, selected: map[string]*selected{},
		uses: map[string]*use{}, named: map[namedPort][]*use{},
		groups: map[string]*group{}, chains: map[string]int{}, moved: map[*Pod]bool{}, stale: map[*group]bool{},
		troubled: map[*policy]bool{}, nodes: map[netip.Addr]int{}, mergeAbove: mergeAbove,
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

// Stamp makes the table one of the given generation, 1 to MaxGeneration.
func (c *Compiler) Stamp(generation uint16) {
	for name, chain := range stamped(generation) {
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

// Problems returns the parts of policies that cannot be read, sorted.
func (c *Compiler) Problems() []Problem {
	var out []Problem
	for p := range c.troubled {
		out = append(out, p.problems...)
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
		c.refresh(g)
	}
	clear(c.stale)
}
