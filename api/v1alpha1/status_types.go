package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AppTierStatus is the observed state of an AppTier.
type AppTierStatus struct {
	// ObservedGeneration is the generation of the spec that the status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Accepted, ResolvedRefs, Conflicted, Ready and Programmed; in mode Audit also Audited.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// PolicyCount is the number of policies.
	// +optional
	PolicyCount int32 `json:"policyCount"`
	// Policies are the generated NetworkPolicies, by name: one for each tier, and one for the
	// namespace.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=65
	Policies []PolicyStatus `json:"policies,omitempty"`
	// Tiers are the tiers of the spec, with the pods that are in them now.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Tiers []TierStatus `json:"tiers,omitempty"`
	// Nodes says how many nodes have the policies in force.
	// +optional
	Nodes *NodesStatus `json:"nodes,omitempty"`
	// Audit is what mode Audit has shown; absent in mode Enforce.
	// +optional
	Audit *AuditStatus `json:"audit,omitempty"`
}

// NodesStatus says how many nodes have the policies in force, by what their enforcers report (NodeReports).
type NodesStatus struct {
	// Desired is the number of nodes with pods that the policies select.
	// +required
	Desired int32 `json:"desired"`
	// Programmed is how many of them have the policies in the kernel, as they are now.
	// +required
	Programmed int32 `json:"programmed"`
	// Summary is "programmed/desired", for a column of kubectl get.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Summary string `json:"summary"`
	// NetworkPolicies is the resourceVersion that a node must have reported: of the latest change of a NetworkPolicy of
	// this AppTier, also a deletion.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	NetworkPolicies string `json:"networkPolicies,omitempty"`
	// StagedNetworkPolicies is the same for StagedNetworkPolicies.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	StagedNetworkPolicies string `json:"stagedNetworkPolicies,omitempty"`
}

// AuditStatus is what mode Audit has shown of the present spec.
type AuditStatus struct {
	// ObservedGeneration is the generation of the spec that was audited. A change of the spec begins a new audit.
	// +required
	ObservedGeneration int64 `json:"observedGeneration"`
	// Since is when the audit began: when the staged policies of this spec were in place.
	// +required
	Since metav1.Time `json:"since"`
	// WouldDeny is how many different connections would have been denied since then, in the last hour at most: from one
	// workload, pod or address to one workload, pod or address, port and protocol, in one direction.
	// +required
	WouldDeny int32 `json:"wouldDeny"`
	// Last is when one would have been denied last, to about a second; absent if none would.
	// +optional
	Last *metav1.Time `json:"last,omitempty"`
	// Top are the connections that would have been denied most often, of the last day.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Top []AuditedConnection `json:"top,omitempty"`
}

// AuditedConnection is a connection that the policies of an AppTier in mode Audit would deny.
type AuditedConnection struct {
	// Source and Destination are namespace/kind/name of a workload, namespace/name of a pod without one, or an address.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Source string `json:"source"`
	// +required
	// +kubebuilder:validation:MaxLength=512
	Destination string `json:"destination"`
	// Protocol of the connection; Port is the destination's, and 0 for protocols without ports.
	// +required
	// +kubebuilder:validation:MaxLength=16
	Protocol string `json:"protocol"`
	// +required
	Port int32 `json:"port"`
	// Direction is the side that would deny it: Egress by Source's tier, or Ingress by Destination's.
	// +required
	// +kubebuilder:validation:MaxLength=16
	Direction string `json:"direction"`
	// Tier is the tier of that side; empty if the namespace's isolation would deny it.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Tier string `json:"tier,omitempty"`
	// Count is how many connections there were, as far as the nodes remember, and Last when there was one last.
	// +required
	Count int64 `json:"count"`
	// +required
	Last metav1.Time `json:"last"`
}

// TierStatus is the observed state of a tier.
type TierStatus struct {
	// Name of the tier.
	// +required
	Name string `json:"name"`
	// MatchedPods is the number of pods that the tier's podSelector matches now. It does not count
	// pods on the host's network and finished pods, to which no policy applies. 0 may mean a mistake
	// in the selector. It is updated within seconds.
	// +required
	MatchedPods int32 `json:"matchedPods"`
}

// PolicyStatus is a generated NetworkPolicy.
type PolicyStatus struct {
	// Name of the NetworkPolicy, in the namespace of the AppTier.
	// +required
	Name string `json:"name"`
	// Hash of its spec: changes if and only if the spec changes.
	// +required
	Hash string `json:"hash"`
}
