package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Verdict is what happened to a connection.
type Verdict string

// The verdicts.
const (
	// Denied connections did not pass.
	Denied Verdict = "Denied"
	// WouldDeny connections passed, and staged policies would deny them.
	WouldDeny Verdict = "WouldDeny"
	// Allowed connections passed. They are known where the enforcer is told to record them.
	Allowed Verdict = "Allowed"
)

// ReasonDeniedElsewhere is the reason of an Allowed connection that another node denied at the time: the packets passed the one
// node and not the other, or one of the two does not tell the truth.
const ReasonDeniedElsewhere = "denied_elsewhere"

// Direction is the side of a connection whose policies decided.
type Direction string

// The directions.
const (
	// Egress is decided by the policies of the source.
	Egress Direction = "Egress"
	// Ingress is decided by the policies of the destination.
	Ingress Direction = "Ingress"
)

// Connection is what one node saw of connections from one source to one address, port and protocol, with one verdict.
// Its name is made of these and of the node, so it stays the same while the connection goes on. Its namespace is the
// one it was asked for in: that of an end.
//
// +kubebuilder:object:root=true
type Connection struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// First is when the kernel first saw it, by the node's clock.
	First metav1.MicroTime `json:"first"`
	// Last is when the count last rose, to about a second.
	Last metav1.MicroTime `json:"last"`
	// Count is how often it was judged: for Denied, the packets that were dropped; else new connections.
	Count int64 `json:"count"`

	// Verdict is Denied, WouldDeny or Allowed.
	Verdict Verdict `json:"verdict"`
	// Direction is the side whose policies decided; empty if none did, such as for a source that is not where it comes from.
	// +optional
	Direction Direction `json:"direction,omitempty"`
	// Reason says in a word why it was denied, as in the label "reason" of the metric apptier_enforcer_denied_packets_total. Of an
	// Allowed one it is denied_elsewhere if another node denied it at the time; each node's word is in the list.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Because are the policies that isolate the side that decided, the staged ones among them for WouldDeny. At most 10,
	// by kind and name; none for Allowed. If the one who asks may not see the namespace of that side, there are none.
	// +listType=atomic
	// +optional
	Because []PolicyReference `json:"because,omitempty"`

	// Source is the end that began it.
	Source End `json:"source"`
	// Destination is the end that was to answer.
	Destination End `json:"destination"`
	// Protocol is TCP, UDP or SCTP, or the name or number of another one.
	Protocol corev1.Protocol `json:"protocol"`
	// Port is the destination's, as its pod sees it; 0 for protocols without ports.
	// +optional
	Port int32 `json:"port,omitempty"`
	// Node is the one that saw it.
	Node string `json:"node"`
}

// End is one end of a connection, as it was when the connection was seen.
type End struct {
	// Address is the end's IP address.
	Address string `json:"address"`
	// Namespace is that of the pod that had the address then; empty for what is no pod.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// Pod is the name of the pod that had the address then; empty for what is no pod.
	// +optional
	Pod string `json:"pod,omitempty"`
	// Workload owns the pod, as kind/name, such as Deployment/web; empty if nothing does.
	// +optional
	Workload string `json:"workload,omitempty"`
	// AppTier is the one that selected the pod then, in its namespace; empty if none did.
	// +optional
	AppTier string `json:"appTier,omitempty"`
	// Tier is the tier of the AppTier that selected the pod then.
	// +optional
	Tier string `json:"tier,omitempty"`
}

// PolicyReference names a policy in the namespace of the side that decided.
type PolicyReference struct {
	// Kind is NetworkPolicy or StagedNetworkPolicy.
	Kind string `json:"kind"`
	// Name is the policy's.
	Name string `json:"name"`
	// AppTier is the one that the policy was written for; empty if people wrote it.
	// +optional
	AppTier string `json:"appTier,omitempty"`
	// Tier is the tier of the AppTier that the policy was written for.
	// +optional
	Tier string `json:"tier,omitempty"`
}

// ConnectionList is a list of connections, the latest last.
//
// +kubebuilder:object:root=true
type ConnectionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// Items are the connections.
	Items []Connection `json:"items"`
	// Missing says what the list does not have: nodes that did not answer, and connections that no memory was left for.
	// It is empty if nothing is missing.
	// +listType=atomic
	// +optional
	Missing []Missing `json:"missing,omitempty"`
	// Notes say, for people, what was not asked although it may know something more: of a list of a namespace, the nodes
	// beyond a bound that have no pods of it. With notes alone, everything is known of what the policies of the namespace
	// denied to its pods.
	// +listType=atomic
	// +optional
	Notes []string `json:"notes,omitempty"`
}

// Missing is something that a list does not have.
type Missing struct {
	// Node is where it is missing.
	Node string `json:"node"`
	// Verdict is that of the connections that are missing; empty if it may be any.
	// +optional
	Verdict Verdict `json:"verdict,omitempty"`
	// Reason says why, for people.
	Reason string `json:"reason"`
	// Count is how many packets or connections are not in the list; 0 if that is not known.
	// +optional
	Count int64 `json:"count,omitempty"`
}
