package connset

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/policy/kube"
)

// Clause is what one peer of one rule of a policy allows.
type Clause struct {
	Policy *networkingv1.NetworkPolicy
	// Rule is the position of the rule, and Peer that of the peer in it; -1 for everyone.
	Rule, Peer int
	// Box holds what the rule's numbered ports allow.
	Box Box
	// Named are the ports that have a name: a number only at a certain destination.
	Named []NamedPort
}

// NamedPort is a port that the destination knows the number of.
type NamedPort struct {
	// Index is the position in the rule's ports.
	Index    int
	Name     string
	Protocol corev1.Protocol
}

// Selected is every connection, in any direction, of the pods that a policy selects. It is empty if
// the selector cannot be read.
func Selected(policy *networkingv1.NetworkPolicy) Box {
	box, err := Everything().WhereSelected(Subject, &policy.Spec.PodSelector)
	if err != nil {
		return Box{}
	}
	return box
}

// Clauses returns what a policy allows in a direction; nothing if it is not about the direction.
// What cannot be read allows nothing.
func Clauses(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []Clause {
	if !kube.Isolates(&policy.Spec, direction) {
		return nil
	}
	var out []Clause
	selected := Selected(policy)
	for i, rule := range kube.Rules(policy, direction) {
		within := selected
		ports, named := RulePorts(rule.Ports)
		within.Ports = ports
		if len(rule.Peers) == 0 {
			out = append(out, Clause{policy, i, -1, within, named})
		}
		for j, peer := range rule.Peers {
			if box, ok := within.wherePeer(policy.Namespace, peer); ok {
				out = append(out, Clause{policy, i, j, box, named})
			}
		}
	}
	return out
}

// wherePeer returns the part of the box whose other end is a peer of a policy in a namespace.
func (b Box) wherePeer(namespace string, peer networkingv1.NetworkPolicyPeer) (Box, bool) {
	if peer.IPBlock != nil {
		addresses, ok := BlockAddresses(peer.IPBlock)
		b.Addresses = b.Addresses.Intersect(addresses)
		return b, ok && peer.PodSelector == nil && peer.NamespaceSelector == nil
	}
	var err error
	switch {
	case peer.NamespaceSelector != nil:
		b, err = b.WhereSelected(Namespace, peer.NamespaceSelector)
	case peer.PodSelector != nil:
		b = b.WhereNamespace(namespace)
	default:
		return b, false
	}
	if err == nil && peer.PodSelector != nil {
		b, err = b.WhereSelected(Peer, peer.PodSelector)
	}
	return b, err == nil
}

// BlockAddresses returns the addresses of a block. One that cannot be read has none: what cannot be
// read in its exceptions might be any of them.
func BlockAddresses(block *networkingv1.IPBlock) (Addresses, bool) {
	cidr, err := kube.ParseCIDR(block.CIDR)
	if err != nil {
		return Addresses{}, false
	}
	excepts := make([]netip.Prefix, len(block.Except))
	for i, text := range block.Except {
		if excepts[i], err = kube.ParseCIDR(text); err != nil {
			return Addresses{}, false
		}
	}
	return PrefixAddresses(cidr).Minus(PrefixAddresses(excepts...)), true
}

// RulePorts returns the ports of a rule that have numbers, and those that have names. An empty list
// is every port.
func RulePorts(list []networkingv1.NetworkPolicyPort) (Ports, []NamedPort) {
	if len(list) == 0 {
		return AllPorts(), nil
	}
	var ports []span[Port]
	var named []NamedPort
	add := func(protocol corev1.Protocol, first, last int32) {
		ports = append(ports, PortRange(protocol, first, last).of...)
	}
	for i, port := range list {
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil && *port.Protocol != "" {
			protocol = *port.Protocol
		}
		switch {
		case !slices.Contains(protocols[1:], protocol), port.Port == nil && port.EndPort != nil:
		case port.Port == nil:
			add(protocol, 1, 65535)
		case port.Port.Type == intstr.Int && port.EndPort != nil:
			add(protocol, port.Port.IntVal, *port.EndPort)
		case port.Port.Type == intstr.Int:
			add(protocol, port.Port.IntVal, port.Port.IntVal)
		case port.EndPort == nil:
			named = append(named, NamedPort{i, port.Port.StrVal, protocol})
		}
	}
	return Ports{union(ports...)}, named
}
