package kube

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// Isolates says whether a policy is about a direction. Omitted types mean ingress, and egress when
// there are egress rules (networking/v1 NetworkPolicySpec.PolicyTypes).
func Isolates(spec *networkingv1.NetworkPolicySpec, direction networkingv1.PolicyType) bool {
	if len(spec.PolicyTypes) > 0 {
		return slices.Contains(spec.PolicyTypes, direction)
	}
	return direction == networkingv1.PolicyTypeIngress || len(spec.Egress) > 0
}

// Protocol is a protocol with the default of policies, Services, containers and flows: TCP.
func Protocol(written corev1.Protocol) corev1.Protocol { return cmp.Or(written, corev1.ProtocolTCP) }

// Rule is an ingress or an egress rule, which differ in name only.
type Rule struct {
	Peers []networkingv1.NetworkPolicyPeer
	Ports []networkingv1.NetworkPolicyPort
}

// Rules returns the rules of a direction as they are written, also if the policy is not about it.
func Rules(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []Rule {
	return rulesOf(&policy.Spec, direction)
}

func rulesOf(spec *networkingv1.NetworkPolicySpec, direction networkingv1.PolicyType) []Rule {
	var out []Rule
	if direction == networkingv1.PolicyTypeIngress {
		for _, rule := range spec.Ingress {
			out = append(out, Rule{rule.From, rule.Ports})
		}
		return out
	}
	for _, rule := range spec.Egress {
		out = append(out, Rule{rule.To, rule.Ports})
	}
	return out
}

// AllRules returns the rules of both directions, ingress first.
func AllRules(policy *networkingv1.NetworkPolicy) []Rule {
	return slices.Concat(Rules(policy, networkingv1.PolicyTypeIngress), Rules(policy, networkingv1.PolicyTypeEgress))
}

// WithoutRules returns a policy that isolates the same pods in the same directions, and allows nothing.
func WithoutRules(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	out := policy.DeepCopy()
	out.Spec.PolicyTypes = nil
	for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
		if Isolates(&policy.Spec, direction) {
			out.Spec.PolicyTypes = append(out.Spec.PolicyTypes, direction)
		}
	}
	out.Spec.Ingress, out.Spec.Egress = nil, nil
	return out
}
