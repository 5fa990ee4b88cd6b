package v1alpha1

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StagedNetworkPolicy is a NetworkPolicy that is not enforced: it shows what it would deny. The manager writes them for
// AppTiers in mode Audit, and people may write them by hand.
//
// A connection would be denied if it is allowed now, and would not be with the staged policies enforced beside the
// NetworkPolicies. A staged policy replaces the NetworkPolicy of the same name, if there is one: so you can try the
// replacement of a policy first. Staged policies never change whether a connection passes.
//
// Admission warns of what it would refuse in a NetworkPolicy, and refuses only what no NetworkPolicy can say.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=apptier,shortName=snp;snetpol
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type StagedNetworkPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the spec of the NetworkPolicy that would be enforced.
	// +required
	Spec networkingv1.NetworkPolicySpec `json:"spec"`
}

// StagedNetworkPolicyList is a list of StagedNetworkPolicies.
//
// +kubebuilder:object:root=true
type StagedNetworkPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []StagedNetworkPolicy `json:"items"`
}

// StagedOf returns a NetworkPolicy as one that is not enforced. It shares the spec.
func StagedOf(policy *networkingv1.NetworkPolicy) *StagedNetworkPolicy {
	return &StagedNetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: GroupVersion.String(), Kind: "StagedNetworkPolicy"},
		ObjectMeta: policy.ObjectMeta, Spec: policy.Spec,
	}
}

// NetworkPolicy returns the policy that would be enforced. It shares the spec.
func (p *StagedNetworkPolicy) NetworkPolicy() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
}
