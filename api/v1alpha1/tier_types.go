package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Tier is one part of an application: a set of pods that do the same work.
type Tier struct {
	// Name of the tier: a DNS label, unique in the AppTier.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="must be a DNS label: lower-case letters, digits and '-', starting and ending with a letter or digit"
	Name string `json:"name"`

	// PodSelector selects the tier's pods in this namespace. An empty selector is refused
	// (isolation.scope: Namespace isolates every pod).
	// +required
	// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.size() > 0)",message="is empty and would select every pod of the namespace: name the labels of this tier's pods, for example matchLabels: {tier: api}"
	PodSelector metav1.LabelSelector `json:"podSelector"`

	// Ports that the pods of this tier listen on: the pods' own, not a Service's.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Ports []TierPort `json:"ports,omitempty"`

	// Isolate names the directions in which the pods are denied what is not declared. Unset: both.
	// In a direction that is not isolated everything is allowed, and rules change nothing. But with
	// isolation.scope: Namespace every pod is isolated in both, and what the rules declare is granted.
	// +optional
	// +listType=set
	// +kubebuilder:default={Ingress,Egress}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Isolate []Direction `json:"isolate,omitempty"`

	// Ingress says who may connect to this tier. Unset or empty: nobody. A connection from another
	// tier is declared here, once: that tier's egress follows from it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Ingress []IngressRule `json:"ingress,omitempty"`

	// Egress says what this tier may connect to, in addition to DNS and the tiers that accept it.
	// Unset or empty: nothing.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Egress []EgressRule `json:"egress,omitempty"`
}

// Direction of a connection, as seen from a pod.
// +kubebuilder:validation:Enum=Ingress;Egress
type Direction string

// Directions of connections.
const (
	// Ingress is connections to a pod.
	Ingress Direction = "Ingress"
	// Egress is connections that a pod starts.
	Egress Direction = "Egress"
)

// TierPort is a port, or a range of ports, that the pods of a tier listen on.
//
// +kubebuilder:validation:XValidation:rule="!has(self.endPort) || self.endPort >= self.port",message="endPort must not be lower than port"
type TierPort struct {
	// Name by which rules of this tier refer to the port. Unset: only by its number.
	// +optional
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.matches('[a-z]')",message="must be a port name: lower-case letters, digits and '-', at least one letter, at most 15 characters"
	Name string `json:"name,omitempty"`
	// Port is the number that the pods listen on.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// EndPort makes it a range, from port to endPort, both included.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	EndPort *int32 `json:"endPort,omitempty"`
	// Protocol of the port. Unset: TCP.
	// +optional
	// +kubebuilder:default=TCP
	// +kubebuilder:validation:Enum=TCP;UDP;SCTP
	Protocol corev1.Protocol `json:"protocol,omitempty"`
}

// IngressRule allows every peer of from on every port of ports.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.ports) && has(self.allPorts) && self.allPorts)",message="give ports or allPorts: true, not both"
type IngressRule struct {
	// From names who may connect: any of the peers.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	From []Peer `json:"from"`
	// Ports that may be connected to, each a number or a name that the tier declares. Unset: all
	// ports that the tier declares.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Ports []RulePort `json:"ports,omitempty"`
	// AllPorts allows every port of every protocol.
	// +optional
	AllPorts bool `json:"allPorts,omitempty"`
}

// EgressRule allows connections to every peer of to on every port of ports.
//
// +kubebuilder:validation:XValidation:rule="has(self.ports) ? !has(self.allPorts) || !self.allPorts : has(self.allPorts) && self.allPorts || self.to.all(p, has(p.appTier) || has(p.service) || has(p.kubeAPIServer))",message="say which ports, or allPorts: true; only the peers appTier, service and kubeAPIServer bring ports of their own"
type EgressRule struct {
	// To names what may be connected to: any of the peers.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	To []Peer `json:"to"`
	// Ports that may be connected to, as numbers: the pods' own, not a Service's. Unset: the ports
	// that each peer brings. Only appTier (what it accepts from this tier), service (its target ports)
	// and kubeAPIServer bring ports.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Ports []RulePort `json:"ports,omitempty"`
	// AllPorts allows every port of every protocol.
	// +optional
	AllPorts bool `json:"allPorts,omitempty"`
}

// RulePort is a port, or a range of ports, that a rule allows.
//
// +kubebuilder:validation:XValidation:rule="!has(self.endPort) || (type(self.port) == int && self.endPort >= self.port)",message="endPort needs a port that is a number, and must not be lower than it"
// +kubebuilder:validation:XValidation:rule="type(self.port) != int || (self.port >= 1 && self.port <= 65535)",message="port must be a number from 1 to 65535, or the name of a port"
type RulePort struct {
	// Port is a number from 1 to 65535, or, in ingress rules of a tier, the name of a port that
	// the tier declares.
	// +required
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=15
	Port intstr.IntOrString `json:"port"`
	// EndPort makes it a range, from port to endPort, both included.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	EndPort *int32 `json:"endPort,omitempty"`
	// Protocol of the port. Unset: TCP, or, where port is a name, what the tier declares for it.
	// +optional
	// +kubebuilder:validation:Enum=TCP;UDP;SCTP
	Protocol corev1.Protocol `json:"protocol,omitempty"`
}
