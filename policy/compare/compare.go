// Package compare finds the connections that two states of a cluster's policies treat differently.
//
// Both states have the same pods: one that is in only one of them counts in the other as it would be, since what differs
// is to be what policies say. Pods of which no selector and no named port of either state tells one from another are
// alike, and one of them stands for all. Of ports, only those are asked about at which a policy of either end changes
// its mind.
package compare

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/rule"
)

// Change is connections that pass after and did not before, or the other way round.
type Change struct {
	// From and To are all ends of which this is so: each of the one and each of the other.
	From, To []reach.Endpoint
	Protocol corev1.Protocol
	// First and Last are the range of ports.
	First, Last int32
	// Opened says that they pass after; else they passed before.
	Opened bool
	// Before and After are what the policies said and say of one of them.
	Before, After reach.Result
}

// Result is what differs.
type Result struct {
	Changes []Change
	// Asked counts the questions that were asked of each state, and Unknown those to which one of them had no answer.
	Asked, Unknown int
	// Open are the connections of which one of them could not say whether they pass.
	Open []Ends
}

// Ends are two sets of ends, each of the one and each of the other, and a range of ports.
type Ends struct {
	From, To    []reach.Endpoint
	Protocol    corev1.Protocol
	First, Last int32
}

// States compares two states, with connections from and to some addresses too. Its error is the context's.
func States(ctx context.Context, before, after reach.Snapshot, addresses []netip.Addr) (Result, error) {
	before, after = alike(before, after)
	c := comparison{states: [2]*state{newState(before), newState(after)}, namespaces: map[string]map[string]string{}}
	c.everything = !sameNamespaces(before, after)
	c.keys = askedBy(c.states[:]...)
	c.keys.nodes = isNodes(addresses, before, after)
	for _, namespace := range after.Namespaces {
		c.namespaces[namespace.Name] = labels.Merge(namespace.Labels, labels.Set{corev1.LabelMetadataName: namespace.Name})
	}
	ends := c.classes(before, after)
	for _, a := range addresses {
		ends = append(ends, &class{members: []reach.Endpoint{{Address: a}}})
	}
	for _, from := range ends {
		if err := ctx.Err(); err != nil {
			return c.result, fmt.Errorf("comparing policies: %w", err)
		}
		for _, to := range ends {
			c.between(from, to)
		}
	}
	return c.result, nil
}

// alike returns both states with the pods and namespaces of either.
func alike(before, after reach.Snapshot) (reach.Snapshot, reach.Snapshot) {
	return with(before, after), with(after, before)
}

func with(s, other reach.Snapshot) reach.Snapshot {
	pods, namespaces := map[types.NamespacedName]bool{}, map[string]bool{}
	s.Pods, s.Namespaces = slices.Clone(s.Pods), slices.Clone(s.Namespaces)
	for _, pod := range s.Pods {
		pods[kube.NameOf(pod)] = true
	}
	for _, namespace := range s.Namespaces {
		namespaces[namespace.Name] = true
	}
	unknown := map[types.NamespacedName][]string{}
	for name, keys := range s.UnknownLabels {
		unknown[name] = keys
	}
	for _, pod := range other.Pods {
		if name := kube.NameOf(pod); !pods[name] {
			s.Pods = append(s.Pods, pod)
			unknown[name] = other.UnknownLabels[name]
		}
	}
	for _, namespace := range other.Namespaces {
		if !namespaces[namespace.Name] {
			s.Namespaces = append(s.Namespaces, namespace)
		}
	}
	s.UnknownLabels = unknown
	return s
}

// sameNamespaces says whether namespaces have the same labels in both states.
func sameNamespaces(before, after reach.Snapshot) bool {
	labels := map[string]string{}
	for _, namespace := range before.Namespaces {
		labels[namespace.Name] = fmt.Sprint(namespace.Labels)
	}
	return !slices.ContainsFunc(after.Namespaces, func(n *corev1.Namespace) bool { return labels[n.Name] != fmt.Sprint(n.Labels) })
}

// isNodes says whether an address is one of a node, which pods of that node always reach.
func isNodes(addresses []netip.Addr, states ...reach.Snapshot) bool {
	for _, s := range states {
		for _, node := range s.Nodes {
			for _, address := range node.Status.Addresses {
				if a, err := netip.ParseAddr(address.Address); err == nil && slices.Contains(addresses, a.Unmap()) {
					return true
				}
			}
		}
	}
	return false
}

// state is a snapshot that is ready to be asked.
type state struct {
	evaluator *reach.Evaluator
	policies  map[types.NamespacedName]*policy
}

// policy is one, its text, and what it says.
type policy struct {
	spec string
	read connset.Policy
}

func newState(s reach.Snapshot) *state {
	out := &state{reach.New(s), map[types.NamespacedName]*policy{}}
	for _, p := range s.Policies {
		name := types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
		text, err := json.Marshal(p.Spec)
		if err != nil {
			text = []byte(name.String())
		}
		out.policies[name] = &policy{string(text), connset.Read(p)}
	}
	return out
}

// isolating are the policies that isolate a pod, or, if some of its labels are not known, that may; and their specs as
// texts, sorted.
func (s *state) isolating(pod types.NamespacedName, direction networkingv1.PolicyType, unknown bool) (specs []string, policies []*policy) {
	names, _ := s.evaluator.Isolating(pod, direction)
	if unknown {
		names = names[:0:0]
		for name := range s.policies {
			if name.Namespace == pod.Namespace {
				names = append(names, name)
			}
		}
	}
	for _, name := range names {
		p := s.policies[name]
		policies, specs = append(policies, p), append(specs, p.spec)
	}
	slices.Sort(specs)
	return specs, policies
}

// class is ends that are alike. Those of addresses have no pod.
type class struct {
	members []reach.Endpoint
	// pod is one of them.
	pod *corev1.Pod
	// changed says that what policies ask of it is different in both states, or not known.
	changed bool
	// unknown are keys of labels of which the values are not known.
	unknown []string
	// halves are what its own policies say, by direction.
	halves map[networkingv1.PolicyType]*half
}

// half is what the policies of a class say in a direction.
type half struct {
	// affected says that other policies isolate it after than before.
	affected bool
	// points are the ports at which they change their mind, by protocol.
	points map[corev1.Protocol][]int32
	// namespaces says that they ask for labels of namespaces beside their name.
	namespaces bool
	// clauses are what they allow, in both states.
	clauses []connset.Clause
	// answers are what these policies say, by protocol and by what the other end matches.
	answers map[string][]answer
}

// answer is what both states say of a port, and of those up to the next answer's.
type answer struct {
	first    int32
	verdicts [2]reach.Verdict
}

// comparison is one under way.
type comparison struct {
	states     [2]*state
	everything bool
	keys       asked
	// namespaces are the labels of namespaces; they are the same in both states unless everything is asked about.
	namespaces map[string]map[string]string
	result     Result
}

var directions = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress}

// classes are those of the pods on the pod network, in the order of the first of each.
func (c *comparison) classes(before, after reach.Snapshot) []*class {
	was := map[types.NamespacedName]*corev1.Pod{}
	for _, pod := range before.Pods {
		was[kube.NameOf(pod)] = pod
	}
	byID := map[string]*class{}
	var out []*class
	for _, pod := range after.Pods {
		if pod.Spec.HostNetwork || kube.Finished(pod) {
			continue
		}
		name := kube.NameOf(pod)
		now, then := c.keys.id(pod, after.UnknownLabels[name]), c.keys.id(was[name], before.UnknownLabels[name])
		id := then + "\n" + now
		of := byID[id]
		if of == nil {
			of = &class{pod: pod, unknown: c.keys.unknown(after.UnknownLabels[name]), halves: map[networkingv1.PolicyType]*half{}}
			for _, direction := range directions {
				of.halves[direction] = c.half(name, direction, len(of.unknown) > 0)
			}
			of.changed = now != then || len(of.unknown) > 0
			byID[id] = of
			out = append(out, of)
		}
		of.members = append(of.members, reach.Endpoint{Pod: name})
	}
	return out
}

// half reads what the policies of a pod say in a direction.
func (c *comparison) half(pod types.NamespacedName, direction networkingv1.PolicyType, unknown bool) *half {
	h := &half{answers: map[string][]answer{}}
	var specs [2][]string
	var rules []*rule.Policy
	for i, s := range c.states {
		var policies []*policy
		specs[i], policies = s.isolating(pod, direction, unknown)
		for _, p := range policies {
			h.clauses = append(h.clauses, p.read.Clauses(direction)...)
			rules = append(rules, &p.read.Rules)
		}
	}
	questions := rule.Ask(rules...)
	h.points = questions.Edges
	delete(questions.Namespaces, corev1.LabelMetadataName)
	h.namespaces = len(questions.Namespaces) > 0
	h.affected = !slices.Equal(specs[0], specs[1])
	return h
}

// between compares what both states say of connections from one class to another.
func (c *comparison) between(from, to *class) {
	source, destination := from.members[0], to.members[0]
	switch {
	case from.pod == nil && to.pod == nil:
		return
	case from == to && len(to.members) == 1:
		return // a pod always reaches itself
	case from == to:
		destination = to.members[1]
	}
	p := pair{from, to, reach.Flow{Source: source, Destination: destination}}
	asked := c.byHalves
	switch egress, ingress := from.halves[networkingv1.PolicyTypeEgress], to.halves[networkingv1.PolicyTypeIngress]; {
	case c.everything || from.changed || to.changed: // what matches is another thing in either state
		asked = c.byFlow
	case (egress == nil || !egress.affected) && (ingress == nil || !ingress.affected):
		return
	}
	for _, protocol := range protocols {
		c.onPorts(p, protocol, asked(p, protocol))
	}
}

// String is the change in a line, for tests and messages.
func (c Change) String() string {
	sign := "-"
	if c.Opened {
		sign = "+"
	}
	ends := func(all []reach.Endpoint) string {
		var names []string
		for _, e := range all {
			names = append(names, e.String())
		}
		return strings.Join(names, ",")
	}
	return fmt.Sprintf("%s %s -> %s %s %d-%d", sign, ends(c.From), ends(c.To), c.Protocol, c.First, c.Last)
}
