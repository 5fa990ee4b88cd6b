package kube

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/policy/rule"
)

// Orders of a NetworkPolicy's rules: what any policy allows comes before what isolation denies.
const (
	orderAllowed = iota
	orderIsolated
)

// ReadPolicy reads a NetworkPolicy.
func ReadPolicy(name types.NamespacedName, spec *networkingv1.NetworkPolicySpec) rule.Policy {
	p := ReadIsolation(name, spec)
	if len(p.Problems) > 0 {
		return p // it is not known which pods it means: its rules might open others
	}
	for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
		if !Isolates(spec, direction) {
			continue // its rules there are dead
		}
		var rules []rule.Rule
		for i, written := range rulesOf(spec, direction) {
			rules = append(rules, readRule(&p, direction, i, written))
		}
		if direction == networkingv1.PolicyTypeIngress {
			p.Ingress = append(rules, p.Ingress...)
		} else {
			p.Egress = append(rules, p.Egress...)
		}
	}
	return p
}

// ReadIsolation reads a NetworkPolicy but for what it allows: whom it isolates, in which directions. If that cannot be
// read, it isolates every pod of its namespace.
func ReadIsolation(name types.NamespacedName, spec *networkingv1.NetworkPolicySpec) rule.Policy {
	p := rule.Policy{Name: name, Tier: rule.Namespace, Subject: rule.Pods{Namespace: name.Namespace}}
	var err error
	if p.Subject.Labels, err = metav1.LabelSelectorAsSelector(&spec.PodSelector); err != nil {
		p.Problems = []rule.Problem{{Path: "podSelector", Err: err}}
		p.Subject.Labels = labels.Everything()
	}
	isolation := []rule.Rule{{Order: orderIsolated, Action: rule.Deny, Peers: rule.Peers{Everyone: true}, Ports: rule.Ports{Every: true},
		Index: rule.Implicit}}
	if Isolates(spec, networkingv1.PolicyTypeIngress) {
		p.Ingress = isolation
	}
	if Isolates(spec, networkingv1.PolicyTypeEgress) {
		p.Egress = isolation
	}
	return p
}

// readRule reads the rule at a position, and notes what of it cannot be read.
func readRule(p *rule.Policy, direction networkingv1.PolicyType, index int, written Rule) rule.Rule {
	list := "to"
	if direction == networkingv1.PolicyTypeIngress {
		list = "from"
	}
	note := func(list string, i int, err error) {
		if err != nil {
			path := fmt.Sprintf("%s[%d].%s[%d]", strings.ToLower(string(direction)), index, list, i)
			p.Problems = append(p.Problems, rule.Problem{Direction: direction, Path: path, Err: err})
		}
	}
	r := rule.Rule{Order: orderAllowed, Action: rule.Allow, Index: index}
	r.Peers.Everyone, r.Ports.Every = len(written.Peers) == 0, len(written.Ports) == 0
	r.Peers.Of, r.Ports.Of = make([]rule.Peer, len(written.Peers)), make([]rule.Port, len(written.Ports))
	for i, peer := range written.Peers {
		read, err := ReadPeer(p.Name.Namespace, peer)
		note(list, i, err)
		r.Peers.Of[i] = read
	}
	for i, port := range written.Ports {
		read, err := ReadPort(port)
		note("ports", i, err)
		r.Ports.Of[i] = read
	}
	return r
}

// ReadPeer reads a peer of a policy in a namespace. With an error it matches nothing.
func ReadPeer(namespace string, written networkingv1.NetworkPolicyPeer) (rule.Peer, error) {
	bySelector := written.PodSelector != nil || written.NamespaceSelector != nil
	var peer rule.Peer
	var err error
	switch {
	case written.IPBlock != nil && bySelector:
		err = errors.New("ipBlock excludes podSelector and namespaceSelector")
	case written.IPBlock != nil:
		peer.Block, err = ReadBlock(written.IPBlock)
	case bySelector:
		peer.Pods, err = readPods(namespace, written)
	default:
		err = errors.New("needs a podSelector, a namespaceSelector or an ipBlock")
	}
	if err != nil {
		return rule.Peer{}, err
	}
	return peer, nil
}

func readPods(namespace string, written networkingv1.NetworkPolicyPeer) (rule.Pods, error) {
	pods := rule.Pods{Namespace: namespace, Labels: labels.Everything()}
	var err error
	if written.PodSelector != nil {
		if pods.Labels, err = metav1.LabelSelectorAsSelector(written.PodSelector); err != nil {
			return pods, fmt.Errorf("podSelector: %w", err)
		}
	}
	if written.NamespaceSelector != nil {
		pods.Namespace = ""
		if pods.Namespaces, err = metav1.LabelSelectorAsSelector(written.NamespaceSelector); err != nil {
			return pods, fmt.Errorf("namespaceSelector: %w", err)
		}
	}
	return pods, nil
}

// ReadBlock reads a block of addresses.
func ReadBlock(written *networkingv1.IPBlock) (rule.Block, error) {
	cidr, err := ParseCIDR(written.CIDR)
	if err != nil {
		return rule.Block{}, fmt.Errorf("ipBlock.cidr: %w", err)
	}
	block := rule.Block{CIDR: cidr}
	for i, text := range written.Except {
		var except netip.Prefix
		if except, err = ParseCIDR(text); err != nil {
			// It might hold any address of the block.
			return rule.Block{}, fmt.Errorf("ipBlock.except[%d]: %w", i, err)
		}
		block.Except = append(block.Except, except)
	}
	return block, nil
}

// ReadPort reads a port (networking/v1 NetworkPolicyPort). With an error it is none.
func ReadPort(written networkingv1.NetworkPolicyPort) (rule.Port, error) {
	port := rule.Port{Protocol: corev1.ProtocolTCP, First: 1, Last: rule.LastPort}
	if written.Protocol != nil {
		port.Protocol = Protocol(*written.Protocol)
	}
	switch port.Protocol {
	case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
	default:
		return rule.Port{}, fmt.Errorf("protocol %q is none of TCP, UDP and SCTP", port.Protocol)
	}
	switch {
	case written.Port == nil && written.EndPort != nil:
		return rule.Port{}, errors.New("endPort needs a port")
	case written.Port == nil:
		return port, nil
	case written.Port.Type == intstr.String:
		return readNamed(port.Protocol, written)
	}
	first := written.Port.IntVal
	last := first
	if written.EndPort != nil {
		last = *written.EndPort
	}
	if last < first {
		return rule.Port{}, errors.New("endPort is below port")
	}
	if port.First, port.Last = max(first, 1), min(last, rule.LastPort); port.First > port.Last {
		return rule.Port{}, fmt.Errorf("port %d is not between 1 and %d", first, rule.LastPort)
	}
	return port, nil
}

func readNamed(protocol corev1.Protocol, written networkingv1.NetworkPolicyPort) (rule.Port, error) {
	switch {
	case written.EndPort != nil:
		return rule.Port{}, errors.New("endPort excludes a named port")
	case written.Port.StrVal == "":
		return rule.Port{}, errors.New("port has an empty name")
	}
	return rule.Port{Protocol: protocol, Name: written.Port.StrVal}, nil
}
