// Package learn makes AppTiers of connections that were seen.
//
// Each end of a connection is looked up: a workload, by its pods; a Service, by the pods behind it; the API server, nodes,
// or an address outside. What a workload was seen to do becomes a NetworkPolicy that allows just this, and policy/adopt
// makes AppTiers of these, as it does of policies that people wrote. AppTiers that are there already stay as they are:
// what they do not declare is added to them.
//
// Nothing is written that was not seen, and each rule comes with what it rests on.
package learn

import (
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// Observation is that connections were seen: of one source to one destination, on one port.
type Observation struct {
	Source, Destination End
	Protocol            corev1.Protocol
	// Port is the destination's.
	Port int32
	// Count is how many connections there were.
	Count int64
	// First and Last are when the first and the last of them was seen.
	First, Last time.Time
	// Denied says that they did not pass.
	Denied bool
	// Node is who counted. Each node counts what it sees, so that two of them may count the same connection.
	Node string
	// Client is the source's port, where it is known: what has the same is the same connection, seen again.
	Client int32
}

// End is an end of a connection, as far as it is known.
type End struct {
	// Namespace and Pod name the pod; empty for what is no pod.
	Namespace, Pod string
	// Workload is the name of what makes the pod.
	Workload string
	// Labels are the pod's, as far as they are known.
	Labels map[string]string
	// Address is the end's; of a Service, if the connection was seen before it was led to a pod.
	Address netip.Addr
	// Service is the Service that the connection was made to, where that is known.
	Service types.NamespacedName
	// Is says what the end is if it is no pod, where that is known.
	Is Kind
}

// Kind says what an end is that is no pod.
type Kind string

// Kinds of ends.
const (
	// OwnNode is the node of the other end. What passes between a pod and its node, no policy decides.
	OwnNode Kind = "its own node"
	// Nodes are other nodes.
	Nodes Kind = "nodes"
	// APIServer is the Kubernetes API server.
	APIServer Kind = "the API server"
)

// Pod is a pod, or one that a workload would make.
type Pod struct {
	*corev1.Pod
	// Workload is the name of what makes it, if anything does, and Selector is how that finds its pods; nil if it says
	// nothing of it.
	Workload string
	Selector *metav1.LabelSelector
}

// Input is what is learned from.
type Input struct {
	Observations []Observation
	// Pods are those that there are, and that workloads would make.
	Pods       []Pod
	Services   []*corev1.Service
	Namespaces []*corev1.Namespace
	Nodes      []*corev1.Node
	// AppTiers are those that are there.
	AppTiers []*v1alpha1.AppTier
	// Environment is what an AppTier's meaning depends on, with the API server and the nodes.
	Environment expand.Environment
	// Learns says of which namespaces AppTiers are learned; nil for all.
	Learns func(namespace string) bool
	// MinCount is how often a connection must be seen to be beyond doubt.
	MinCount int64
	// LeaveOut has doubtful connections be left out.
	LeaveOut bool
	// MostAddresses is how many addresses of the internet are named; if there are more, it is the whole internet.
	MostAddresses int
}

// Result is what was learned.
type Result struct {
	// AppTiers are the new ones, and those that changed; the former are in mode Audit.
	AppTiers []*v1alpha1.AppTier
	// Changed are the names of those that were there before.
	Changed map[types.NamespacedName]bool
	// Grounds are what the rules of the AppTiers rest on.
	Grounds []Ground
	// Connections is how many connections the AppTiers allow, and Declared how many were allowed before.
	Connections, Declared int64
	// DNS is how many connections are left to spec.dns, and Denied how many did not pass and are not learned.
	DNS, Denied int64
	// LeftOut are connections that are not learned, and why.
	LeftOut []LeftOut
	// Unknown are addresses outside the internet that nothing of the input has: of a Service or a pod, perhaps. They are
	// learned as addresses.
	Unknown []netip.Addr
	// Unseen are the workloads, of namespaces that are learned, without a connection, and so without a tier.
	Unseen []types.NamespacedName
}

// Ground is what a rule of an AppTier rests on: connections of one peer on one port.
type Ground struct {
	AppTier types.NamespacedName
	// Tier is empty for a rule of every tier.
	Tier      string
	Direction networkingv1.PolicyType
	// Path is that of the rule in the AppTier.
	Path string
	// Peer is what the rule calls the other end.
	Peer     string
	Protocol corev1.Protocol
	Port     int32
	Seen     Seen
	// Doubtful says that there are too few to be sure, and Added that an AppTier that was there did not declare it.
	Doubtful, Added bool
}

// Seen is how often something was seen, and when.
type Seen struct {
	Count       int64
	First, Last time.Time
}

func (s Seen) with(t Seen) Seen {
	if s.Count == 0 {
		return t
	}
	s.Count += t.Count
	if !t.First.IsZero() && (s.First.IsZero() || t.First.Before(s.First)) {
		s.First = t.First
	}
	if t.Last.After(s.Last) {
		s.Last = t.Last
	}
	return s
}

// LeftOut are connections that are not learned.
type LeftOut struct {
	From, To string
	Protocol corev1.Protocol
	Port     int32
	Seen     Seen
	Reason   string
}
