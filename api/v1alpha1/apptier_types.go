package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AppTier describes an application's tiers and who may talk to whom. The manager generates its
// NetworkPolicies from it alone: a peer that it does not name is denied.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=apptier,shortName=at
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Would-Deny",type=integer,JSONPath=`.status.audit.wouldDeny`
// +kubebuilder:printcolumn:name="Nodes",type=string,JSONPath=`.status.nodes.summary`
// +kubebuilder:printcolumn:name="Policies",type=integer,JSONPath=`.status.policyCount`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.metadata.name.size() <= 63",message="the name of an AppTier must be a DNS label (lower-case letters, digits and '-', at most 63 characters): policies are named after it"
type AppTier struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the desired state.
	// +required
	Spec AppTierSpec `json:"spec"`
	// Status is the observed state. Only the manager writes it.
	// +optional
	Status AppTierStatus `json:"status,omitzero"`
}

// AppTierList is a list of AppTiers.
//
// +kubebuilder:object:root=true
type AppTierList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AppTier `json:"items"`
}

// AppTierSpec is the desired state of an AppTier.
//
// +kubebuilder:validation:XValidation:rule="self.isolation.scope == 'Namespace' || (has(self.tiers) && self.tiers.size() > 0)",message="there is nothing to isolate: declare at least one tier, or set isolation.scope: Namespace"
type AppTierSpec struct {
	// Mode says whether the policies are enforced. In mode Audit the AppTier denies nothing: the manager writes
	// StagedNetworkPolicies in place of NetworkPolicies, and the enforcers report which connections these would deny.
	// A change of the mode denies no declared connection on the way. A change to Audit opens what the AppTier closed.
	// +optional
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`

	// Isolation says which pods are isolated. Unset: the pods of the tiers.
	// +optional
	// +kubebuilder:default={scope: "Tiers", sameNamespace: "Deny"}
	Isolation Isolation `json:"isolation,omitzero"`

	// DNS says how isolated pods resolve names. Unset: through the cluster's DNS.
	// +optional
	// +kubebuilder:default={mode: "ClusterDNS", nodeLocal: "Auto"}
	DNS DNS `json:"dns,omitzero"`

	// EveryTier holds rules for every tier: scrapers, load-balancer probes, a proxy. They add to
	// the rules of each tier.
	// +optional
	EveryTier *EveryTier `json:"everyTier,omitempty"`

	// Mesh says which service mesh the pods are part of, so that its control plane is reachable.
	// Unset: none.
	// +optional
	Mesh *Mesh `json:"mesh,omitempty"`

	// Tiers are the parts of the application. A pod should be in one tier only. Policies add up: a
	// pod in two tiers may do what either may.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Tiers []Tier `json:"tiers,omitempty"`
}

// Mode says whether policies are enforced.
// +kubebuilder:validation:Enum=Enforce;Audit
type Mode string

// Modes of an AppTier.
const (
	// Enforce denies what is not declared. The default.
	Enforce Mode = "Enforce"
	// Audit denies nothing, and reports what would be denied.
	Audit Mode = "Audit"
)

// Isolation says which pods are isolated.
//
// +kubebuilder:validation:XValidation:rule="self.sameNamespace != 'Allow' || self.scope == 'Namespace'",message="sameNamespace: Allow has a meaning only with scope: Namespace"
type Isolation struct {
	// Scope says which pods are denied what is not declared.
	// +optional
	// +kubebuilder:default=Tiers
	Scope IsolationScope `json:"scope,omitempty"`

	// SameNamespace says, with scope Namespace, whether pods of the namespace may talk to one another
	// on any port. Allow makes the namespace a perimeter. It excludes tiers that isolate ingress,
	// because it would open them to the whole namespace.
	// +optional
	// +kubebuilder:default=Deny
	SameNamespace SameNamespace `json:"sameNamespace,omitempty"`
}

// IsolationScope says which pods are isolated.
// +kubebuilder:validation:Enum=Tiers;Namespace
type IsolationScope string

// Scopes of isolation.
const (
	// ScopeTiers isolates the pods of the tiers. The default.
	ScopeTiers IsolationScope = "Tiers"
	// ScopeNamespace isolates every pod of the namespace, in both directions.
	ScopeNamespace IsolationScope = "Namespace"
)

// SameNamespace says whether pods of one namespace may talk to each other.
// +kubebuilder:validation:Enum=Deny;Allow
type SameNamespace string

// Values of SameNamespace.
const (
	// SameNamespaceDeny denies what is not declared inside the namespace too. The default.
	SameNamespaceDeny SameNamespace = "Deny"
	// SameNamespaceAllow allows everything inside the namespace.
	SameNamespaceAllow SameNamespace = "Allow"
)

// DNS says how isolated pods resolve names.
//
// +kubebuilder:validation:XValidation:rule="self.mode == 'Custom' ? has(self.to) : !has(self.to) && !has(self.ports)",message="to and ports belong to mode: Custom, which needs at least to"
type DNS struct {
	// Mode is ClusterDNS by default.
	// +optional
	// +kubebuilder:default=ClusterDNS
	Mode DNSMode `json:"mode,omitempty"`

	// To names the DNS servers, with mode Custom.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	To []Peer `json:"to,omitempty"`

	// Ports of the DNS servers, with mode Custom. Unset: 53, UDP and TCP.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Ports []RulePort `json:"ports,omitempty"`

	// NodeLocal says whether the node-local DNS cache is also reachable, at its usual address
	// 169.254.20.10 (which never leaves a node). Auto: yes, with mode ClusterDNS.
	// +optional
	// +kubebuilder:default=Auto
	NodeLocal NodeLocalDNS `json:"nodeLocal,omitempty"`
}

// DNSMode says where names are resolved.
// +kubebuilder:validation:Enum=ClusterDNS;Custom;None
type DNSMode string

// Modes of DNS.
const (
	// DNSClusterDNS allows the pods of the cluster's DNS Service, its address, and the node-local
	// cache, over UDP and TCP. The default.
	DNSClusterDNS DNSMode = "ClusterDNS"
	// DNSCustom allows the named servers only.
	DNSCustom DNSMode = "Custom"
	// DNSNone allows no DNS at all.
	DNSNone DNSMode = "None"
)

// NodeLocalDNS says whether the node-local DNS cache is reachable.
// +kubebuilder:validation:Enum=Auto;Never
type NodeLocalDNS string

// Values of NodeLocalDNS.
const (
	// NodeLocalAuto allows the cache's address. The default.
	NodeLocalAuto NodeLocalDNS = "Auto"
	// NodeLocalNever leaves the cache's address out.
	NodeLocalNever NodeLocalDNS = "Never"
)

// EveryTier holds rules for every tier.
//
// +kubebuilder:validation:MinProperties=1
type EveryTier struct {
	// Ingress rules, added to the rules of each tier that isolates ingress. Ports are required, as
	// numbers.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Ingress []IngressRule `json:"ingress,omitempty"`
	// Egress rules, added to the rules of each tier that isolates egress.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Egress []EgressRule `json:"egress,omitempty"`
}

// Mesh says which service mesh the pods are part of. Policies apply outside the pods, where a mesh
// changes what a connection looks like.
//
// +kubebuilder:validation:XValidation:rule="self.provider == 'Istio' || !has(self.dataPlane) || self.dataPlane == 'Sidecar'",message="only Istio has the data plane Ambient"
type Mesh struct {
	// Provider of the mesh. Every isolated pod can reach its control plane at the default place:
	// istiod in istio-system, or Linkerd's identity and destination in linkerd.
	// +required
	Provider MeshProvider `json:"provider"`
	// DataPlane of the mesh. Unset: Sidecar. Between pods that may connect on some TCP port, the
	// port of the mesh's tunnel is also open: 15008 with Ambient, 4143 (for opaque protocols) with
	// Linkerd. A policy cannot see to which port of the pod a tunnelled connection goes: restrict
	// ports in the mesh.
	// +optional
	DataPlane DataPlane `json:"dataPlane,omitempty"`
}

// MeshProvider is a service mesh.
// +kubebuilder:validation:Enum=Istio;Linkerd
type MeshProvider string

// Meshes.
const (
	// Istio, https://istio.io.
	Istio MeshProvider = "Istio"
	// Linkerd, https://linkerd.io.
	Linkerd MeshProvider = "Linkerd"
)

// DataPlane says where a mesh's proxies are.
// +kubebuilder:validation:Enum=Sidecar;Ambient
type DataPlane string

// Data planes.
const (
	// Sidecar: a proxy in each pod. The default.
	Sidecar DataPlane = "Sidecar"
	// Ambient: a proxy on each node; the kubelet's probes reach pods from 169.254.7.127.
	Ambient DataPlane = "Ambient"
)
