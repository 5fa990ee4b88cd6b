package reach

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/rule"
)

// policy is a policy of a namespace, ready to be asked.
type policy struct{ rule.Policy }

func newPolicy(np *networkingv1.NetworkPolicy) *policy { return &policy{Read(np)} }

// problems are the parts that cannot be read and that matter in a direction, with the policy's name.
func (p *policy) problems(direction networkingv1.PolicyType) []string {
	var out []string
	for _, problem := range p.Problems {
		if problem.Direction == direction || problem.Direction == "" {
			out = append(out, fmt.Sprintf("%s %s: %v", p.Name, problem.Path, problem.Err))
		}
	}
	return out
}

// selects tells whether the policy is about the pod in the direction: it has rules there, it is of the
// pod's namespace, and its podSelector matches (an empty one matches all). The pod has labels with the
// unknown keys too.
func (p *policy) selects(pod *corev1.Pod, unknown []string, direction networkingv1.PolicyType) Verdict {
	if p.Subject.Namespace != pod.Namespace || len(p.Rules(direction)) == 0 {
		return Deny
	}
	return selects(p.Subject.Labels, pod.Labels, unknown)
}

// allows says whether a rule of the direction allows a flow between the policy's pod and other, and
// which one: the first that allows it, or else the first that might. Behind them is the rule that denies
// everyone.
func (p *policy) allows(direction networkingv1.PolicyType, other party, to destination) (Verdict, *RuleRef) {
	verdict, by := Deny, (*RuleRef)(nil)
	rules := p.Rules(direction)
	for i := range rules {
		r := &rules[i]
		if !lets(r.Action) {
			break
		}
		v, peer, port := matches(r, other, to)
		if v == Deny || v == verdict {
			continue
		}
		verdict = v
		by = &RuleRef{Policy: p.Name, Direction: direction, Index: r.Index, Peer: peer, Port: port}
		if v == Allow {
			break
		}
	}
	return verdict, by
}

// lets says whether a rule lets what it matches pass, or leave the tier that would deny it.
func lets(action rule.Action) bool { return action == rule.Allow || action == rule.Pass }

// matches says whether both the rule's peers and its ports match, and which of them, -1 standing for
// an empty list, which matches everything.
func matches(r *rule.Rule, other party, to destination) (v Verdict, peer, port int) {
	matches, port := matchesPort(r.Ports, to)
	if !matches {
		return Deny, -1, -1
	}
	v, peer = matchesPeers(r.Peers, other)
	return v, peer, port
}

func matchesPort(ports rule.Ports, to destination) (matches bool, port int) {
	if ports.Every {
		return true, -1
	}
	port = slices.IndexFunc(ports.Of, to.isAt)
	return port >= 0, port
}

func matchesPeers(peers rule.Peers, other party) (v Verdict, peer int) {
	if peers.Everyone {
		return Allow, -1
	}
	v, peer = Deny, -1
	for i, candidate := range peers.Of {
		if union := v.or(matchesPeer(candidate, other)); union != v {
			v, peer = union, i
		}
	}
	return v, peer
}
