package lint

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/kube"
)

// A policy's selector is asked for in each of its clauses, so that one of 700 KB with 5,000 labels and 5,000
// peers would take gigabytes when it is taken apart.
const (
	// mostConditions is how heavy a policy may be that others are judged beside. One that is heavier is
	// taken to select and to allow nothing: those who enforce policies refuse it long before.
	mostConditions = 500_000
	// conditionSteps are the steps that each takes of the policy that is judged.
	conditionSteps = 20
)

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
