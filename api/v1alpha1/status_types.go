package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AppTierStatus is what was found and done for an AppTier.
type AppTierStatus struct {
	// ObservedGeneration is the generation of the spec that the rest of the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Accepted, ResolvedRefs and Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// PolicyCount is the number of policies.
	// +optional
	PolicyCount int32 `json:"policyCount"`
	// Policies are the NetworkPolicies that were generated, by name: one a tier, and one for the
	// namespace.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=65
	Policies []PolicyStatus `json:"policies,omitempty"`
}

// PolicyStatus is a generated NetworkPolicy.
type PolicyStatus struct {
	// Name of the NetworkPolicy, in the namespace of the AppTier.
	// +required
	Name string `json:"name"`
	// Hash of its spec: changes when, and only when, the spec does.
	// +required
	Hash string `json:"hash"`
}
