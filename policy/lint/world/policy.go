package world

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

const (
	ingress = networkingv1.PolicyTypeIngress
	egress  = networkingv1.PolicyTypeEgress
)

// Policy is a policy, split into clauses.
type Policy struct {
	*networkingv1.NetworkPolicy
	Selected        connset.Box
	ingress, egress []connset.Clause
}

func policyOf(policy *networkingv1.NetworkPolicy) *Policy {
	read := connset.Read(policy)
	return &Policy{policy, read.Selected, read.Ingress, read.Egress}
}

// Clauses are what it allows in a direction.
func (p *Policy) Clauses(direction networkingv1.PolicyType) []connset.Clause {
	if direction == ingress {
		return p.ingress
	}
	return p.egress
}

// Isolates says whether it isolates the pods that it selects in a direction.
func (p *Policy) Isolates(direction networkingv1.PolicyType) bool {
	return kube.Isolates(&p.Spec, direction)
}

// Each clause repeats the policy's selector, so a policy of 700 KB with 5,000 labels and 5,000 peers would take
// gigabytes when it is split.
const (
	// mostConditions limits the weight of other policies. A heavier policy counts as one that selects and
	// allows nothing: enforcers refuse it at a much lower weight.
	mostConditions = 500_000
	// conditionSteps are the steps that each condition of the judged policy takes.
	conditionSteps = 20
)

// StepsOf are the steps that it takes to start judging a policy.
func StepsOf(policy *networkingv1.NetworkPolicy) int { return 1 + conditionSteps*weightOf(policy) }

// weightOf is how many conditions on labels the clauses of a policy hold.
func weightOf(policy *networkingv1.NetworkPolicy) int {
	selected, clauses, weight := terms(&policy.Spec.PodSelector), 0, 0
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		for _, rule := range kube.Rules(policy, direction) {
			clauses += max(1, len(rule.Peers))
			for _, peer := range rule.Peers {
				weight += terms(peer.PodSelector) + terms(peer.NamespaceSelector)
			}
		}
	}
	return weight + clauses*selected
}

func terms(selector *metav1.LabelSelector) int {
	if selector == nil {
		return 0
	}
	return len(selector.MatchLabels) + len(selector.MatchExpressions)
}

// ClausesOf returns what policies allow in a direction.
func ClausesOf(policies []*Policy, direction networkingv1.PolicyType) []connset.Clause {
	var out []connset.Clause
	for _, policy := range policies {
		out = append(out, policy.Clauses(direction)...)
	}
	return out
}

// IsSame says whether two are versions of one policy. A policy without a name is the same as no other.
func IsSame(a, b *Policy) bool {
	return a.NetworkPolicy == b.NetworkPolicy || a.Name != "" && a.Namespace == b.Namespace && a.Name == b.Name
}
