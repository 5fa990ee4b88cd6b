package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Peer is the other end of a connection. Exactly one field must be set: an unset or unknown peer
// matches nothing.
//
// +kubebuilder:validation:XValidation:rule="(has(self.tier) ? 1 : 0) + (has(self.appTier) ? 1 : 0) + (has(self.pods) ? 1 : 0) + (has(self.namespaces) ? 1 : 0) + (has(self.networks) ? 1 : 0) + (has(self.internet) ? 1 : 0) + (has(self.everyone) ? 1 : 0) + (has(self.nodes) ? 1 : 0) + (has(self.kubeAPIServer) ? 1 : 0) + (has(self.service) ? 1 : 0) == 1",message="must have exactly one of tier, appTier, pods, namespaces, networks, internet, everyone, nodes, kubeAPIServer, service; write one list item for each"
type Peer struct {
	// Tier is the name of a tier of this AppTier. Only in ingress: the sender's egress follows.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Tier *string `json:"tier,omitempty"`
	// AppTier is a tier of another AppTier. Both owners must agree: this side names that tier, and
	// that side names this one, in the opposite direction and with a port in common. Until then the
	// peer matches nothing.
	// +optional
	AppTier *AppTierReference `json:"appTier,omitempty"`
	// Pods are the matching pods in the matching namespaces.
	// +optional
	Pods *PodsPeer `json:"pods,omitempty"`
	// Namespaces are all pods of the namespaces whose labels match. An empty selector is refused.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.size() > 0)",message="is empty and would match every namespace: name one, for example matchLabels: {kubernetes.io/metadata.name: monitoring}"
	Namespaces *metav1.LabelSelector `json:"namespaces,omitempty"`
	// Networks are ranges of addresses.
	// +optional
	Networks *NetworksPeer `json:"networks,omitempty"`
	// Internet is every address except the cluster's own, private, carrier-grade NAT, link-local,
	// loopback, multicast and unique-local ranges, in both address families.
	// +optional
	Internet *InternetPeer `json:"internet,omitempty"`
	// Everyone is every address, inside the cluster and outside.
	// +optional
	Everyone *EveryonePeer `json:"everyone,omitempty"`
	// Nodes are the internal and external addresses of the cluster's nodes. If the network translates
	// a node's address, name the translated address under networks.
	// +optional
	Nodes *NodesPeer `json:"nodes,omitempty"`
	// KubeAPIServer are the endpoints of the Kubernetes API server and, in egress, the addresses of
	// its Service. It brings its ports: an egress rule needs none.
	// +optional
	KubeAPIServer *KubeAPIServerPeer `json:"kubeAPIServer,omitempty"`
	// Service is the pods behind a Service, by its selector. It brings its target ports: an egress
	// rule needs none. A Service without a selector matches nothing.
	// +optional
	Service *ServiceReference `json:"service,omitempty"`
}

// AppTierReference names a tier of another AppTier.
type AppTierReference struct {
	// Namespace of the AppTier. Unset: this namespace.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// Name of the AppTier.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Tier of the AppTier.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Tier string `json:"tier"`
}

// PodsPeer selects pods by namespace AND by their own labels: both must match.
type PodsPeer struct {
	// NamespaceSelector selects namespaces. Unset: this namespace. Empty: every namespace.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// PodSelector selects pods in those namespaces. An empty one is refused: for every pod of a
	// namespace use the peer namespaces.
	// +required
	// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.size() > 0)",message="is empty and would match every pod: name the labels, or use the peer namespaces for every pod of a namespace"
	PodSelector metav1.LabelSelector `json:"podSelector"`
}

// NetworksPeer is a set of address ranges.
type NetworksPeer struct {
	// CIDRs of either address family, in canonical form (no bits set beyond the prefix).
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=43
	CIDRs []string `json:"cidrs"`
	// Except are ranges that are excluded. Each must lie within one of the CIDRs.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=43
	Except []string `json:"except,omitempty"`
}

// InternetPeer has no fields: write internet: {}.
type InternetPeer struct{}

// EveryonePeer has no fields: write everyone: {}.
type EveryonePeer struct{}

// NodesPeer has no fields: write nodes: {}.
type NodesPeer struct{}

// KubeAPIServerPeer has no fields: write kubeAPIServer: {}.
type KubeAPIServerPeer struct{}

// ServiceReference names a Service.
type ServiceReference struct {
	// Namespace of the Service. Unset: this namespace.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// Name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
