package reach

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// policy is a NetworkPolicy whose selectors and addresses are parsed.
type policy struct {
	name     types.NamespacedName
	selector labels.Selector
	ingress  side
	egress   side
}

// side is one direction of a policy.
type side struct {
	// isolates tells whether the policy is about this direction at all.
	isolates bool
	rules    []rule
	problems []string
}

// rule is a NetworkPolicyIngressRule or a NetworkPolicyEgressRule, which differ in name only.
type rule struct {
	peers []peer
	ports []portMatcher
}

// newPolicy parses a policy. What it cannot parse is reported in problems and fails closed.
func newPolicy(np *networkingv1.NetworkPolicy) *policy {
	p := &policy{name: types.NamespacedName{Namespace: np.Namespace, Name: np.Name}}
	ingress, egress := policyTypes(np.Spec)
	p.ingress.isolates, p.egress.isolates = ingress, egress

	selector, err := metav1.LabelSelectorAsSelector(&np.Spec.PodSelector)
	if err != nil {
		// Nobody can say which pods the policy means to protect, so it protects them all, and its
		// rules, which might open pods that it does not mean, are dropped.
		problem := fmt.Sprintf("%s podSelector: %v", p.name, err)
		p.selector = labels.Everything()
		p.ingress.problems, p.egress.problems = []string{problem}, []string{problem}
		return p
	}
	p.selector = selector
	for i, r := range np.Spec.Ingress {
		p.addRule(networkingv1.PolicyTypeIngress, i, r.From, r.Ports)
	}
	for i, r := range np.Spec.Egress {
		p.addRule(networkingv1.PolicyTypeEgress, i, r.To, r.Ports)
	}
	return p
}

// policyTypes tells which directions a policy is about. Omitted types mean ingress, and egress when
// there are egress rules; an empty list is an omitted one (API, NetworkPolicySpec.PolicyTypes).
func policyTypes(spec networkingv1.NetworkPolicySpec) (ingress, egress bool) {
	if len(spec.PolicyTypes) == 0 {
		return true, len(spec.Egress) > 0
	}
	return slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeIngress),
		slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

// addRule parses the rule at the given position of the given direction.
func (p *policy) addRule(
	direction networkingv1.PolicyType, index int,
	peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort,
) {
	s := p.side(direction)
	report := func(list string, i int, err error) {
		if err != nil {
			path := fmt.Sprintf("%s.%s[%d]", rulePath(direction, index), list, i)
			s.problems = append(s.problems, fmt.Sprintf("%s %s: %v", p.name, path, err))
		}
	}
	var r rule
	for i, from := range peers {
		parsed, err := newPeer(p.name.Namespace, from)
		report(peersField(direction), i, err)
		r.peers = append(r.peers, parsed)
	}
	for i, port := range ports {
		parsed, err := newPortMatcher(port)
		report("ports", i, err)
		r.ports = append(r.ports, parsed)
	}
	s.rules = append(s.rules, r)
}

// side returns the policy's half for a direction.
func (p *policy) side(direction networkingv1.PolicyType) *side {
	if direction == networkingv1.PolicyTypeIngress {
		return &p.ingress
	}
	return &p.egress
}

// selects tells whether the policy isolates the pod in the direction: it is of the pod's namespace,
// its podSelector matches (an empty one matches all), and its types hold the direction. The pod has
// labels with the unknown keys too.
func (p *policy) selects(pod *corev1.Pod, unknown []string, direction networkingv1.PolicyType) Verdict {
	if p.name.Namespace != pod.Namespace || !p.side(direction).isolates {
		return Deny
	}
	return selects(p.selector, pod.Labels, unknown)
}

// allows says whether a rule of the direction allows a flow between the policy's pod and other, and
// which one: the first that allows it, or else the first that might.
func (p *policy) allows(direction networkingv1.PolicyType, other party, to destination) (Verdict, *RuleRef) {
	verdict, by := Deny, (*RuleRef)(nil)
	for i, r := range p.side(direction).rules {
		v, peer, port := r.allows(other, to)
		if v == Deny || v == verdict {
			continue
		}
		verdict = v
		by = &RuleRef{Policy: p.name, Direction: direction, Index: i, Peer: peer, Port: port}
		if v == Allow {
			break
		}
	}
	return verdict, by
}

// allows says whether both the rule's peers and its ports match, and which of them, -1 standing for
// an empty list, which matches everything.
func (r rule) allows(other party, to destination) (v Verdict, peer, port int) {
	matches, port := r.matchesPort(to)
	if !matches {
		return Deny, -1, -1
	}
	v, peer = r.matchesPeer(other)
	return v, peer, port
}

func (r rule) matchesPort(to destination) (matches bool, port int) {
	if len(r.ports) == 0 {
		return true, -1
	}
	port = slices.IndexFunc(r.ports, func(m portMatcher) bool { return m.matches(to) })
	return port >= 0, port
}

func (r rule) matchesPeer(other party) (v Verdict, peer int) {
	if len(r.peers) == 0 {
		return Allow, -1
	}
	v, peer = Deny, -1
	for i, candidate := range r.peers {
		if union := v.or(candidate.matches(other)); union != v {
			v, peer = union, i
		}
	}
	return v, peer
}
