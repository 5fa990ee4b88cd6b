package rule

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Tier is whose policies are asked before whose.
type Tier int

// Tiers, in the order in which they are asked.
const (
	// Staged is what policies would do that are not enforced: its rules pass or audit, and so decide nothing.
	Staged Tier = iota
	// Admin is before what namespaces say (policy.networking.k8s.io ClusterNetworkPolicy, tier Admin).
	Admin
	// Namespace is networking.k8s.io NetworkPolicy.
	Namespace
	// Baseline is for what no policy of a namespace is about (ClusterNetworkPolicy, tier Baseline).
	Baseline
)

// Action is what becomes of a connection that a rule matches.
type Action int

// Actions.
const (
	// Deny denies it.
	Deny Action = iota
	// Allow allows it.
	Allow
	// Pass leaves it to the next tier.
	Pass
	// Audit notes that it would be denied, and leaves it to the next tier.
	Audit
)

// Policy is what one policy says.
type Policy struct {
	Name types.NamespacedName
	Tier Tier
	// Subject are the pods that it is about.
	Subject Pods
	// Ingress and Egress are its rules by direction, in the order in which they are asked. A policy is about a direction
	// if it has rules there.
	Ingress, Egress []Rule
	// Problems are the parts that cannot be read.
	Problems []Problem
}

// Rules returns the rules of a direction.
func (p *Policy) Rules(direction networkingv1.PolicyType) []Rule {
	if direction == networkingv1.PolicyTypeIngress {
		return p.Ingress
	}
	return p.Egress
}

// Staged returns the policy as one that is not enforced: what it allows leaves the tier, what it denies is noted.
func (p *Policy) Staged() Policy {
	out := *p
	out.Tier, out.Ingress, out.Egress = Staged, staged(p.Ingress), staged(p.Egress)
	return out
}

func staged(rules []Rule) []Rule {
	out := slices.Clone(rules)
	for i := range out {
		switch out[i].Action {
		case Allow:
			out[i].Action = Pass
		case Deny:
			out[i].Action = Audit
		case Pass, Audit:
		}
	}
	return out
}

// Rule says what becomes of connections with some peers at some ports.
type Rule struct {
	// Order within its tier: rules of lower order, of any policy, are evaluated first.
	Order  int
	Action Action
	Peers  Peers
	Ports  Ports
	// Index is its position among the policy's rules of the direction; Implicit if it is not written there.
	Index int
}

// Implicit is the index of a rule that is not written, such as the isolation of a NetworkPolicy.
const Implicit = -1

// Peers are the other ends that a rule matches. The zero value matches nothing.
type Peers struct {
	Everyone bool
	// Of are those that are written, at their positions.
	Of []Peer
}

// Peer is an end of a connection: pods or a block of addresses. The zero value matches nothing.
type Peer struct {
	Pods  Pods
	Block Block
}

// Pods are the pods that selectors match, on the pod network. The zero value is none.
type Pods struct {
	// Namespace is where they are, if Namespaces is nil.
	Namespace string
	// Namespaces selects where they are.
	Namespaces labels.Selector
	// Labels selects them; nil selects none.
	Labels labels.Selector
}

// Block is a range of addresses, but for some. Its CIDR is masked, and IPv4 written as IPv6 is IPv4. The zero value
// holds none.
type Block struct {
	CIDR   netip.Prefix
	Except []netip.Prefix
}

// Contains says whether an address is in the block.
func (b Block) Contains(address netip.Addr) bool {
	for _, except := range b.Except {
		if except.Contains(address) {
			return false
		}
	}
	return b.CIDR.Contains(address)
}

// Ports are the ports that a rule is about. The zero value is none.
type Ports struct {
	// Every is every port, and protocols without ports too.
	Every bool
	// Of are those that are written, at their positions.
	Of []Port
}

// Port is a port by name or by number. The zero value is none.
type Port struct {
	// Protocol is TCP, UDP or SCTP.
	Protocol corev1.Protocol
	// Name is looked up on the destination; empty for numbers.
	Name string
	// First and Last are the numbers, 1 to 65535.
	First, Last int32
}

// LastPort is the highest port.
const LastPort = 65535

// Problem is a part of a policy that cannot be read, and so matches nothing.
type Problem struct {
	// Direction of the rule; empty for both.
	Direction networkingv1.PolicyType
	// Path is the field within the spec, such as ingress[0].from[1].
	Path string
	Err  error
}
