// Package budget counts what it costs to judge and enforce NetworkPolicies, and says which cost too much: an
// account that may write one policy must not be able to stop the enforcement of others.
//
// Counting takes time linear in the policy's size, and comes before any other work on the policy.
package budget

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Cost is what a policy, or all policies of a namespace together, ask for; or the most that they may. It
// is a flag's value too: "rules=500,peers=1000".
type Cost struct {
	// Rules are those of both directions.
	Rules int
	// Peers are those that select pods, or pods and namespaces.
	Peers int
	// Blocks are peers that are blocks of addresses, and each exception of one.
	Blocks int
	// Ports are the entries of rules' ports. A range is one.
	Ports int
	// Requirements are what selectors ask of labels: a label is one, and so is each value of an expression.
	Requirements int
	// Copies are rules and ports once more for each group of pods of one node that are under the same policies.
	// They depend on the cluster too.
	Copies int
	// Addresses are those of the pods that peers select, counted for each different peer. They depend on the
	// cluster: Count leaves them 0, and the enforcer alone counts them.
	Addresses int
	// Depth is of limits alone: how many of the peers may select a pod on average. See Limits.In.
	Depth int
}

// item is a part of a cost that has a limit of its own.
type item struct {
	name string
	of   func(*Cost) *int
}

var items = []item{
	{"rules", func(c *Cost) *int { return &c.Rules }},
	{"peers", func(c *Cost) *int { return &c.Peers }},
	{"blocks", func(c *Cost) *int { return &c.Blocks }},
	{"ports", func(c *Cost) *int { return &c.Ports }},
	{"requirements", func(c *Cost) *int { return &c.Requirements }},
	{"copies", func(c *Cost) *int { return &c.Copies }},
	{"addresses", func(c *Cost) *int { return &c.Addresses }},
	{"depth", func(c *Cost) *int { return &c.Depth }},
}

// Count counts what a policy asks for.
func Count(spec *networkingv1.NetworkPolicySpec) Cost {
	c := Cost{Rules: len(spec.Ingress) + len(spec.Egress), Requirements: requirements(&spec.PodSelector)}
	for i := range spec.Ingress {
		c.rule(spec.Ingress[i].From, spec.Ingress[i].Ports)
	}
	for i := range spec.Egress {
		c.rule(spec.Egress[i].To, spec.Egress[i].Ports)
	}
	return c
}

func (c *Cost) rule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) {
	c.Ports += len(ports)
	for i := range peers {
		p := &peers[i]
		if p.IPBlock != nil {
			c.Blocks += 1 + len(p.IPBlock.Except)
		}
		if p.PodSelector != nil || p.NamespaceSelector != nil {
			c.Peers++
			c.Requirements += requirements(p.PodSelector) + requirements(p.NamespaceSelector)
		}
	}
}

func requirements(s *metav1.LabelSelector) int {
	if s == nil {
		return 0
	}
	n := len(s.MatchLabels)
	for i := range s.MatchExpressions {
		n += max(1, len(s.MatchExpressions[i].Values))
	}
	return n
}

// Add returns the cost of both.
func (c Cost) Add(o Cost) Cost {
	for _, i := range items {
		*i.of(&c) += *i.of(&o)
	}
	return c
}

// Within tells whether nothing of the cost is above the limits.
func (c Cost) Within(limits Cost) bool {
	return c.Rules <= limits.Rules && c.Peers <= limits.Peers && c.Blocks <= limits.Blocks && c.Ports <= limits.Ports &&
		c.Requirements <= limits.Requirements && c.Copies <= limits.Copies && c.Addresses <= limits.Addresses
}

// over returns what of the cost is above the limits.
func (c Cost) over(limits Cost) []Excess {
	var out []Excess
	for _, i := range items {
		if count, limit := *i.of(&c), *i.of(&limits); count > limit {
			out = append(out, Excess{Item: i.name, Count: count, Limit: limit})
		}
	}
	return out
}

// half returns what of the cost is above half of the limits, and not above them.
func (c Cost) half(limits Cost) []Excess {
	var out []Excess
	for _, i := range items {
		if count, limit := *i.of(&c), *i.of(&limits); count > limit/2 && count <= limit {
			out = append(out, Excess{Item: i.name, Count: count, Limit: limit})
		}
	}
	return out
}

// String is as a flag is written.
func (c *Cost) String() string {
	parts := make([]string, 0, len(items))
	for _, i := range items {
		parts = append(parts, i.name+"="+strconv.Itoa(*i.of(c)))
	}
	return strings.Join(parts, ",")
}

// Set reads a flag, such as "rules=500,peers=1000". What it does not name stays.
func (c *Cost) Set(text string) error {
	read := *c
	for part := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(part), "=")
		at := slices.IndexFunc(items, func(i item) bool { return i.name == name })
		if at < 0 {
			return fmt.Errorf("%q is none of %s", name, names())
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			return fmt.Errorf("%s=%s: write a number, 0 or more, after the equals sign", name, cmp.Or(number, "nothing"))
		}
		*items[at].of(&read) = n
	}
	*c = read
	return nil
}

// Type is what help calls a value of the flag.
func (c *Cost) Type() string { return "item=number,..." }

func names() string {
	all := make([]string, 0, len(items))
	for _, i := range items {
		all = append(all, i.name)
	}
	return strings.Join(all, ", ")
}
