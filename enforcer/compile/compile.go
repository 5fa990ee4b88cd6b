package compile

import (
	"cmp"
	"fmt"
	"slices"

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

	table nft.Table
	pods  []*pod // of the whole cluster, for Dump
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
}

// Error returns the problem as one line.
func (p Problem) Error() string { return fmt.Sprintf("%s %s: %v", p.Policy, p.Path, p.Err) }

// Unwrap returns what is wrong with the field.
func (p Problem) Unwrap() error { return p.Err }

// Direction is one of the two halves of a policy.
type Direction string

// The two directions, as seen from the pod.
const (
	Ingress Direction = "ingress"
	Egress  Direction = "egress"
)

// Compile returns what the node of this name enforces. It never fails: a policy that cannot be
// read in part is enforced without that part, which is reported in Problems.
func Compile(snapshot reach.Snapshot, node string) Ruleset {
	return CompileExcept(snapshot, node, nil)
}

// CompileExcept does the same without the rules of the named policies ("namespace/name"): they
// isolate the pods that they select, and allow nothing. Each is reported with its error.
func CompileExcept(snapshot reach.Snapshot, node string, closed map[string]error) Ruleset {
	return compile(snapshot, node, closed, &Memory{})
}

func compile(snapshot reach.Snapshot, node string, closed map[string]error, memory *Memory) Ruleset {
	c := &compiler{
		closed: closed,
		table:  skeleton(),
		pods:   index(snapshot, node, memory),
	}
	c.policies = c.parseAll(snapshot)
	c.nodeAddresses(snapshot.Nodes, node)
	c.gate(snapshot.Nodes, node)
	for _, direction := range []Direction{Egress, Ingress} {
		for _, g := range c.group(direction) {
			c.addGroup(g)
		}
	}

	slices.SortFunc(c.problems, func(a, b Problem) int { return cmp.Compare(a.Error(), b.Error()) })
	slices.SortFunc(c.groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Chain, b.Chain))
	})
	return Ruleset{Groups: c.groups, Problems: c.problems, Pods: len(c.pods.local), Ranges: c.ranges, table: c.table, pods: c.pods.all}
}

// compiler is the state of one compilation.
type compiler struct {
	table    nft.Table
	pods     podIndex
	policies map[string][]*policy // by namespace, sorted by name
	problems []Problem
	groups   []Group
	ranges   []string
	closed   map[string]error
}

// nodeAddresses makes the node's own addresses always reachable from its pods, even those that
// are not on one of its interfaces (a cloud's external address) and so would be forwarded to.
func (c *compiler) nodeAddresses(nodes []*corev1.Node, name string) {
	for _, node := range nodes {
		if node.Name != name {
			continue
		}
		for _, address := range node.Status.Addresses {
			if ip, ok := parseAddress(address.Address); ok {
				c.table.Sets[nodeSet[familyOf(ip)]].Elements[ip.String()] = nft.Element{}
			}
		}
	}
	for _, pod := range c.pods.local {
		for _, ip := range pod.hostAddresses {
			c.table.Sets[nodeSet[familyOf(ip)]].Elements[ip.String()] = nft.Element{}
		}
	}
}
