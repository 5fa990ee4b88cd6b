package connset

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/rule"
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

// Policy is a policy in sets of connections.
type Policy struct {
	// Rules are what it says.
	Rules rule.Policy
	// Selected is every connection, in any direction, of the pods that it selects: of all pods of its namespace, if its
	// selector cannot be read.
	Selected Box
	// Ingress and Egress are what it allows; nothing in a direction that it is not about. What cannot be read allows
	// nothing.
	Ingress, Egress []Clause
}

// Read reads a policy.
func Read(policy *networkingv1.NetworkPolicy) Policy {
	read := kube.ReadPolicy(types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name}, &policy.Spec)
	p := Policy{Rules: read, Selected: Everything().WhereMatching(Subject, read.Subject.Labels)}
	p.Ingress, p.Egress = p.clauses(policy, read.Ingress), p.clauses(policy, read.Egress)
	return p
}

// Clauses returns what the policy allows in a direction.
func (p Policy) Clauses(direction networkingv1.PolicyType) []Clause {
	if direction == networkingv1.PolicyTypeIngress {
		return p.Ingress
	}
	return p.Egress
}

func (p Policy) clauses(policy *networkingv1.NetworkPolicy, rules []rule.Rule) []Clause {
	var out []Clause
	for _, r := range rules {
		if r.Action != rule.Allow {
			continue
		}
		within := p.Selected
		ports, named := portsOf(r.Ports)
		within.Ports = ports
		if r.Peers.Everyone {
			out = append(out, Clause{policy, r.Index, -1, within, named})
		}
		for j, peer := range r.Peers.Of {
			if box, ok := within.wherePeer(peer); ok {
				out = append(out, Clause{policy, r.Index, j, box, named})
			}
		}
	}
	return out
}

// wherePeer returns the part of the box whose other end is a peer; false if the peer is nobody.
func (b Box) wherePeer(peer rule.Peer) (Box, bool) {
	switch pods := peer.Pods; {
	case peer.Block.CIDR.IsValid():
		b.Addresses = b.Addresses.Intersect(addressesOf(peer.Block))
		return b, true
	case pods.Labels == nil:
		return b, false
	case pods.Namespaces == nil:
		return b.WhereNamespace(pods.Namespace).WhereMatching(Peer, pods.Labels), true
	default:
		return b.WhereMatching(Namespace, pods.Namespaces).WhereMatching(Peer, pods.Labels), true
	}
}

// BlockAddresses returns the addresses of a block. One that cannot be read has none: what cannot be
// read in its exceptions might be any of them.
func BlockAddresses(written *networkingv1.IPBlock) (Addresses, bool) {
	block, err := kube.ReadBlock(written)
	if err != nil {
		return Addresses{}, false
	}
	return addressesOf(block), true
}

func addressesOf(block rule.Block) Addresses {
	return PrefixAddresses(block.CIDR).Minus(PrefixAddresses(block.Except...))
}

// RulePorts returns the ports of a rule that have numbers, and those that have names. An empty list
// is every port; what cannot be read is none.
func RulePorts(list []networkingv1.NetworkPolicyPort) (Ports, []NamedPort) {
	ports := rule.Ports{Every: len(list) == 0}
	for _, written := range list {
		port, _ := kube.ReadPort(written) // with an error it is none
		ports.Of = append(ports.Of, port)
	}
	return portsOf(ports)
}

func portsOf(of rule.Ports) (Ports, []NamedPort) {
	if of.Every {
		return AllPorts(), nil
	}
	var ports []span[Port]
	var named []NamedPort
	for i, port := range of.Of {
		switch {
		case port.Name != "":
			named = append(named, NamedPort{i, port.Name, port.Protocol})
		case port.Protocol != "":
			ports = append(ports, PortRange(port.Protocol, port.First, port.Last).of...)
		}
	}
	return Ports{union(ports...)}, named
}
