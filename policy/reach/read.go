package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/policy/rule"
)

// Read reads a policy as [New] does. What it cannot read is reported in the problems and fails closed.
func Read(np *networkingv1.NetworkPolicy) rule.Policy {
	p := rule.Policy{
		Name: types.NamespacedName{Namespace: np.Namespace, Name: np.Name}, Tier: rule.Namespace,
		Subject: rule.Pods{Namespace: np.Namespace},
	}
	ingress, egress := np.Spec.Ingress, np.Spec.Egress
	var err error
	if p.Subject.Labels, err = metav1.LabelSelectorAsSelector(&np.Spec.PodSelector); err != nil {
		// It is not known which pods the policy means to protect, so it protects them all, and its
		// rules, which might open pods that it does not mean, are dropped.
		p.Problems = append(p.Problems, rule.Problem{Path: "podSelector", Err: err})
		p.Subject.Labels = labels.Everything()
		ingress, egress = nil, nil
	}
	isolation := rule.Rule{
		Order: 1, Action: rule.Deny, Peers: rule.Peers{Everyone: true}, Ports: rule.Ports{Every: true}, Index: rule.Implicit,
	}
	for _, direction := range policyTypes(np.Spec) {
		switch direction {
		case networkingv1.PolicyTypeIngress:
			for i, r := range ingress {
				p.Ingress = append(p.Ingress, newRule(&p, direction, i, r.From, r.Ports))
			}
			p.Ingress = append(p.Ingress, isolation)
		case networkingv1.PolicyTypeEgress:
			for i, r := range egress {
				p.Egress = append(p.Egress, newRule(&p, direction, i, r.To, r.Ports))
			}
			p.Egress = append(p.Egress, isolation)
		}
	}
	return p
}

// policyTypes are the directions that a policy is about, ingress first. Omitted types mean ingress, and egress when
// there are egress rules; an empty list is an omitted one (API, NetworkPolicySpec.PolicyTypes).
func policyTypes(spec networkingv1.NetworkPolicySpec) []networkingv1.PolicyType {
	both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	switch {
	case len(spec.PolicyTypes) > 0:
		return slices.DeleteFunc(both, func(t networkingv1.PolicyType) bool { return !slices.Contains(spec.PolicyTypes, t) })
	case len(spec.Egress) > 0:
		return both
	default:
		return both[:1]
	}
}

// newRule parses the rule at the given position of the given direction.
func newRule(
	p *rule.Policy, direction networkingv1.PolicyType, index int,
	peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort,
) rule.Rule {
	report := func(list string, i int, err error) {
		if err != nil {
			path := fmt.Sprintf("%s.%s[%d]", rulePath(direction, index), list, i)
			p.Problems = append(p.Problems, rule.Problem{Direction: direction, Path: path, Err: err})
		}
	}
	r := rule.Rule{
		Action: rule.Allow, Index: index,
		Peers: rule.Peers{Everyone: len(peers) == 0}, Ports: rule.Ports{Every: len(ports) == 0},
	}
	for i, from := range peers {
		parsed, err := newPeer(p.Name.Namespace, from)
		report(peersField(direction), i, err)
		r.Peers.Of = append(r.Peers.Of, parsed)
	}
	for i, port := range ports {
		parsed, err := newPort(port)
		report("ports", i, err)
		r.Ports.Of = append(r.Ports.Of, parsed)
	}
	return r
}

// newPeer parses a peer of a policy in the given namespace.
func newPeer(namespace string, from networkingv1.NetworkPolicyPeer) (rule.Peer, error) {
	hasSelector := from.PodSelector != nil || from.NamespaceSelector != nil
	switch {
	case from.IPBlock != nil && hasSelector:
		return rule.Peer{}, errors.New("ipBlock excludes podSelector and namespaceSelector")
	case from.IPBlock != nil:
		return newBlockPeer(*from.IPBlock)
	case hasSelector:
		return newSelectorPeer(namespace, from)
	default:
		return rule.Peer{}, errors.New("needs a podSelector, a namespaceSelector or an ipBlock")
	}
}

func newSelectorPeer(namespace string, from networkingv1.NetworkPolicyPeer) (rule.Peer, error) {
	p := rule.Pods{Namespace: namespace, Labels: labels.Everything()}
	var err error
	if from.PodSelector != nil {
		if p.Labels, err = metav1.LabelSelectorAsSelector(from.PodSelector); err != nil {
			return rule.Peer{}, fmt.Errorf("podSelector: %w", err)
		}
	}
	if from.NamespaceSelector != nil {
		p.Namespace = ""
		if p.Namespaces, err = metav1.LabelSelectorAsSelector(from.NamespaceSelector); err != nil {
			return rule.Peer{}, fmt.Errorf("namespaceSelector: %w", err)
		}
	}
	return rule.Peer{Pods: p}, nil
}

func newBlockPeer(block networkingv1.IPBlock) (rule.Peer, error) {
	var b rule.Block
	var err error
	if b.CIDR, err = parseRange(block.CIDR); err != nil {
		return rule.Peer{}, fmt.Errorf("ipBlock.cidr: %w", err)
	}
	for i, except := range block.Except {
		prefix, err := parseRange(except)
		if err != nil {
			// An exception that cannot be read might hold any address of the block.
			return rule.Peer{}, fmt.Errorf("ipBlock.except[%d]: %w", i, err)
		}
		b.Except = append(b.Except, prefix)
	}
	return rule.Peer{Block: b}, nil
}

// parseRange reads a range. IPv4 written as IPv6, which the API server stored before Kubernetes 1.36 and
// which stays (KEP-4858), is IPv4.
func parseRange(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return prefix, fmt.Errorf("%q is no range of addresses, such as 203.0.113.0/24", text) // people know no netip
	}
	if before := 128 - 32; prefix.Addr().Is4In6() && prefix.Bits() >= before {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-before)
	}
	return prefix.Masked(), nil
}

// newPort parses a port (API, NetworkPolicyPort).
func newPort(written networkingv1.NetworkPolicyPort) (rule.Port, error) {
	p := rule.Port{Protocol: corev1.ProtocolTCP}
	if written.Protocol != nil {
		p.Protocol = orTCP(*written.Protocol)
	}
	var first, last int32
	switch {
	case !hasPorts(p.Protocol):
		return rule.Port{}, fmt.Errorf("protocol %q is none of TCP, UDP and SCTP", p.Protocol)
	case written.Port == nil && written.EndPort != nil:
		return rule.Port{}, errors.New("endPort needs a port")
	case written.Port == nil:
		first, last = 1, 65535
	case written.Port.Type == intstr.String && written.EndPort != nil:
		return rule.Port{}, errors.New("endPort excludes a named port")
	case written.Port.Type == intstr.String:
		if p.Name = written.Port.StrVal; p.Name == "" {
			return rule.Port{}, errors.New("port has an empty name")
		}
		return p, nil
	case written.EndPort != nil && *written.EndPort < written.Port.IntVal:
		return rule.Port{}, errors.New("endPort is below port")
	case written.EndPort != nil:
		first, last = written.Port.IntVal, *written.EndPort
	default:
		first, last = written.Port.IntVal, written.Port.IntVal
	}
	if last < 1 || first > 65535 {
		return rule.Port{}, fmt.Errorf("port %d is not between 1 and 65535", first)
	}
	p.First, p.Last = max(first, 1), min(last, 65535)
	return p, nil
}
