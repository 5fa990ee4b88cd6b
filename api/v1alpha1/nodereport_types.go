package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NodeReport is what the enforcer of a node says about itself. It has the name of the node, and goes with it. Only that
// enforcer writes it: at start, and when something has changed that concerns the pods of its node.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=apptier
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.status.mode`
// +kubebuilder:printcolumn:name="Policies",type=string,JSONPath=`.status.networkPolicies`
// +kubebuilder:printcolumn:name="Problems",type=string,JSONPath=`.status.problems`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type NodeReport struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Status is what the enforcer says. There is no spec: nothing is asked of a node by its report.
	// +required
	Status NodeReportStatus `json:"status"`
}

// NodeReportList is a list of NodeReports.
//
// +kubebuilder:object:root=true
type NodeReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodeReport `json:"items"`
}

// NodeReportStatus is what an enforcer says.
type NodeReportStatus struct {
	// Mode says whether the enforcer drops packets.
	// +required
	Mode EnforcerMode `json:"mode"`
	// NetworkPolicies is a resourceVersion: every change of a NetworkPolicy up to it, also a deletion, is in the node's
	// kernel. It may be older than the latest change, if no later one is of a namespace with pods on the node. Unset:
	// not known.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]*$`
	NetworkPolicies string `json:"networkPolicies,omitempty"`
	// StagedNetworkPolicies is the same of StagedNetworkPolicies. Unset: the enforcer does not watch them.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]*$`
	StagedNetworkPolicies string `json:"stagedNetworkPolicies,omitempty"`
	// NotAsWritten are NetworkPolicies that allow less on the node than they say, as "namespace/name": the kernel refuses
	// their rules, they are above the budget, or cannot be read. Events on them say why. When they are many, "namespace/*"
	// stands for some of a namespace.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MaxLength=317
	NotAsWritten []string `json:"notAsWritten,omitempty"`
	// Problems are why the node is not ready: reasons of Events on the Node, which say more.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z]+$`
	Problems []string `json:"problems,omitempty"`
	// Server answers who talked to whom on the node. Unset: there is none.
	// +optional
	Server *NodeServer `json:"server,omitempty"`
}

// EnforcerMode says whether an enforcer drops packets.
// +kubebuilder:validation:Enum=Enforce;Observe
type EnforcerMode string

// Modes of an enforcer.
const (
	// EnforcerEnforces drops what policies deny.
	EnforcerEnforces EnforcerMode = "Enforce"
	// EnforcerObserves drops nothing: something else enforces on the node.
	EnforcerObserves EnforcerMode = "Observe"
)

// NodeServer is where an enforcer answers.
type NodeServer struct {
	// Address is "address:port"; the address of IPv6 is in brackets. Whoever connects checks that the address is one of
	// the node's: the report is the node's word alone.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Address string `json:"address"`
	// Fingerprint is the SHA-256 of the server's certificate (DER), in hexadecimal.
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	Fingerprint string `json:"fingerprint"`
}
