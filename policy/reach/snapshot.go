package reach

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Snapshot is the part of a cluster's state that decides which flows NetworkPolicy lets through.
// It is never modified by this package.
type Snapshot struct {
	Namespaces []*corev1.Namespace
	// PartialNamespaces says that a namespace which is not among Namespaces may have labels that are
	// not known here. Otherwise it has none but its name.
	PartialNamespaces bool

	Pods []*corev1.Pod
	// UnknownLabels are keys of labels that a pod has beside those of its object, with values that are
	// not known: those that a controller will give it, for example.
	UnknownLabels map[types.NamespacedName][]string

	Policies []*networkingv1.NetworkPolicy
	// Staged are policies that are not enforced. Each replaces the policy of the same name, if there is one.
	Staged []*networkingv1.NetworkPolicy
	// Nodes are needed for their addresses and ranges alone: traffic between a pod and its own node is
	// always allowed.
	Nodes []*corev1.Node

	// Seen is the name of the node through whose eyes the snapshot is seen, where it matters whose an
	// address is that several pods claim. Empty for nobody's: what such an address may do is unknown.
	Seen string
}

// Flow is the first packet of a connection, as the destination pod would see it: after the
// destination of a service was translated to a pod's address and port, and before any source
// translation.
type Flow struct {
	Source      Endpoint
	Destination Endpoint
	// Protocol is TCP, UDP or SCTP; empty means TCP, as in NetworkPolicy.
	Protocol corev1.Protocol
	// Port is the destination port, 1 to 65535.
	Port int32
}

// Endpoint is one end of a flow: a pod by its name, or any address.
//
// With only Pod set, the pod's primary address stands for Address, or its first one of a family that
// the other end has. With only Address set, the pod that owns the address is looked up; an address
// that no running pod owns is outside the cluster or a node. With both set, Address is which of the
// pod's addresses the flow uses, and may be any address for a pod that has none yet.
type Endpoint struct {
	Pod     types.NamespacedName
	Address netip.Addr
}
