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
