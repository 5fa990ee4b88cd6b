package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
)

// Ruleset is what one node enforces.
type Ruleset struct {
	// Groups are the sets of local pods that share a chain, sorted by direction and chain.
	Groups []Group
	// Problems are the parts of policies that cannot be read; each fails closed: it matches
	// nothing. Sorted.
	Problems []Problem
	// Pods counts the pods of this node that have an address of their own.
	Pods int
	// Ranges are the addresses that this node gives to pods; those that no known pod has are
	// closed. Empty when the node's object names none: then every address is open.
	Ranges []string

	compiler *Compiler
}

// Group is the pods of this node whose traffic in one direction the same policies rule.
type Group struct {
	Direction Direction `json:"direction"`
	Chain     string    `json:"chain"`
	// Policies and Pods are "namespace/name", sorted.
	Policies []string `json:"policies"`
	Pods     []string `json:"pods"`
}

// Problem is a part of a policy that cannot be read.
type Problem struct {
	// Policy is "namespace/name".
	Policy string
	// Path is the field, such as "ingress[0].from[1]".
	Path string
	Err  error
	// Object is the policy, which is staged if its kind is StagedNetworkPolicy.
	Object *corev1.ObjectReference
}

// Error returns the problem as one line.
func (p Problem) Error() string { return fmt.Sprintf("%s %s: %v", p.Policy, p.Path, p.Err) }

// Unwrap returns what is wrong with the field.
func (p Problem) Unwrap() error { return p.Err }

// Staged says that the policy is not enforced.
func (p Problem) Staged() bool { return p.Object.Kind == StagedKind }

// Direction is one of the two halves of a policy.
type Direction string

// The two directions, as seen from the pod.
const (
	Ingress Direction = "ingress"
	Egress  Direction = "egress"
)

// The two directions of what staged policies would have.
const (
	StagedIngress Direction = "staged-ingress"
	StagedEgress  Direction = "staged-egress"
)

var (
	directions       = []Direction{Egress, Ingress}
	stagedDirections = []Direction{StagedEgress, StagedIngress}
	allDirections    = slices.Concat(directions, stagedDirections)
)

// half is the direction that a staged one is about, or the direction itself.
func (d Direction) half() Direction {
	switch d {
	case StagedEgress:
		return Egress
	case StagedIngress:
		return Ingress
	default:
		return d
	}
}

func (d Direction) isStaged() bool { return d != d.half() }

// Compile returns what the node of this name enforces. It never fails: a policy that cannot be
// read in part is enforced without that part, which is reported in Problems.
func Compile(snapshot reach.Snapshot, node string) Ruleset {
	c := New(node)
	c.Tell(snapshot)
	return c.Ruleset()
}

// Tell tells of all objects of a snapshot.
func (c *Compiler) Tell(snapshot reach.Snapshot) {
	for _, object := range snapshot.Nodes {
		c.SetNode(object)
	}
	for _, object := range snapshot.Namespaces {
		c.SetNamespace(object)
	}
	for _, object := range snapshot.Pods {
		c.SetPod(object)
	}
	for _, object := range snapshot.Policies {
		c.SetPolicy(object)
	}
	for _, object := range snapshot.Staged {
		c.SetStaged(object)
	}
}

// Ruleset returns what the node enforces now. It is good until the compiler's objects change.
func (c *Compiler) Ruleset() Ruleset {
	c.settle()
	r := Ruleset{Problems: c.Problems(), Pods: len(c.locals.pods), compiler: c}
	for _, s := range c.gate.ranges {
		r.Ranges = append(r.Ranges, s.String())
	}
	for _, g := range c.groups.byKey {
		r.Groups = append(r.Groups, Group{Direction: g.direction, Chain: g.chain, Policies: policyNames(g.policies), Pods: c.groups.podNames(g)})
	}
	slices.SortFunc(r.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Chain, b.Chain))
	})
	return r
}

// Table returns the ruleset as a table of the given generation, 1 to the mark's Last.
func (r Ruleset) Table(generation uint16) nft.Table {
	t := r.compiler.tracker.Table().Clone()
	for name, chain := range r.compiler.stamped(generation) {
		t.Chains[name] = chain
	}
	return t
}

// Dump is a ruleset for people and their tools.
type Dump struct {
	Groups   []Group  `json:"groups"`
	Sets     []Set    `json:"sets"`
	Problems []string `json:"problems"`
}

// Set is one set of peers or ports that rules look up.
type Set struct {
	Name string `json:"name"`
	// Meaning is the selector or the blocks that the set stands for.
	Meaning string `json:"meaning"`
	// Selectors are those of a set of several peers, sorted.
	Selectors []string `json:"selectors,omitempty"`
	Members   []Member `json:"members"`
}

// Member is an element of a set: an address, a range, a port, or several of them.
type Member struct {
	Value string `json:"value"`
	// Pod is "namespace/name" of the pod whose address it is, if it is one's; of several, separated by
	// commas, while they all claim it.
	Pod string `json:"pod,omitempty"`
}

// String returns the member as text, such as "10.244.0.2 (shop/web-0)".
func (m Member) String() string {
	if m.Pod == "" {
		return m.Value
	}
	return m.Value + " (" + m.Pod + ")"
}

// Dump returns the groups, sets and problems, all sorted; no list is null in JSON.
func (r Ruleset) Dump() Dump {
	d := Dump{Groups: append([]Group{}, r.Groups...), Sets: []Set{}, Problems: []string{}}
	owners := map[string]string{}
	for _, address := range r.compiler.index.Addresses() {
		owners[address.String()] = listed(r.compiler.index.Owners(address))
	}
	sets := r.compiler.tracker.Table().Sets
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		set := sets[name]
		if set.Value != "" || set.Dynamic != (nft.Dynamic{}) {
			continue // the verdict maps say what the groups say, and what rules put in is not in a ruleset
		}
		members := []Member{}
		for _, key := range slices.Sorted(maps.Keys(set.Elements)) {
			address, _, _ := strings.Cut(key, nft.Key("", ""))
			members = append(members, Member{Value: key, Pod: owners[address]})
		}
		d.Sets = append(d.Sets, Set{Name: name, Meaning: set.Comment, Selectors: r.compiler.index.Selectors(name), Members: members})
	}
	for _, p := range r.Problems {
		d.Problems = append(d.Problems, p.Error())
	}
	return d
}
