package lint

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/space"
)

// checkExclusions finds peers that leave somebody out, beside a peer that lets them in again, with everybody
// else that the first would hold: peers add up, so the exclusion excludes nobody.
func checkExclusions(r *report, v *view) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		clauses := v.policy.clauses(direction)
		for i, clause := range clauses {
			peer := peerOf(direction, clause)
			if peer == nil {
				continue
			}
			whole, what := withoutExclusions(peer)
			if what == "" {
				continue
			}
			all := v.clauseOf(direction, clause, whole)
			for j, other := range clauses {
				if i == j || all == nil || !isWithin([]space.Box{all.Box}, []space.Box{other.Box}) || !isNameAllowedBy(clause, other) {
					continue
				}
				r.warn(ExcludesNobody, clausePath(direction, clause), "remove "+clausePath(direction, other).String()+", or leave the same out there",
					"%s holds all that this peer leaves out with %s: peers add up, so nobody is left out", clausePath(direction, other), what)
				break
			}
		}
	}
}

// withoutExclusions returns a peer without what leaves somebody out, and what that is; "" for nothing.
func withoutExclusions(peer *networkingv1.NetworkPolicyPeer) (whole *networkingv1.NetworkPolicyPeer, what string) {
	whole = peer.DeepCopy()
	if whole.IPBlock != nil && len(whole.IPBlock.Except) > 0 {
		whole.IPBlock.Except, what = nil, "except"
	}
	for _, selector := range []*metav1.LabelSelector{whole.NamespaceSelector, whole.PodSelector} {
		if selector == nil {
			continue
		}
		selector.MatchExpressions = slices.DeleteFunc(selector.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool {
			isExclusion := e.Operator == metav1.LabelSelectorOpNotIn || e.Operator == metav1.LabelSelectorOpDoesNotExist
			if isExclusion {
				what = string(e.Operator)
			}
			return isExclusion
		})
	}
	return whole, what
}

// clauseOf is a clause of the judged policy with another peer in the place of its own.
func (v *view) clauseOf(direction networkingv1.PolicyType, clause space.Clause, peer *networkingv1.NetworkPolicyPeer) *space.Clause {
	rule := space.Rules(v.policy.NetworkPolicy, direction)[clause.Rule]
	policy := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: v.policy.Namespace}}
	policy.Spec.PodSelector, policy.Spec.PolicyTypes = v.policy.Spec.PodSelector, []networkingv1.PolicyType{direction}
	if direction == ingress {
		policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{Ports: rule.Ports, From: []networkingv1.NetworkPolicyPeer{*peer}}}
	} else {
		policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: rule.Ports, To: []networkingv1.NetworkPolicyPeer{*peer}}}
	}
	if clauses := space.Clauses(&policy, direction); len(clauses) == 1 {
		return ptr.To(clauses[0])
	}
	return nil
}

// isNameAllowedBy says whether another clause allows the named ports of a clause, by name or by any number.
func isNameAllowedBy(clause, other space.Clause) bool {
	return !slices.ContainsFunc(clause.Named, func(port space.NamedPort) bool {
		isSame := func(p space.NamedPort) bool { return p.Name == port.Name && p.Protocol == port.Protocol }
		every := space.PortRange(port.Protocol, 1, 65535)
		return !slices.ContainsFunc(other.Named, isSame) && !every.Minus(other.Box.Ports).IsEmpty()
	})
}
