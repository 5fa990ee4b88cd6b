package expand

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Environment is what an AppTier's meaning depends on beside its spec.
type Environment struct {
	// DNS is the cluster's DNS Service.
	DNS ClusterDNS
	// ClusterNetworks are the address ranges of the cluster's pods, services and nodes, of either
	// family, which are not the internet. Private ranges need not be among them.
	ClusterNetworks []netip.Prefix
}

// ClusterDNS is the cluster's DNS Service.
type ClusterDNS struct {
	// Namespace of the Service, and so of its pods.
	Namespace string
	// PodSelector is the Service's selector.
	PodSelector map[string]string
	// ServicePorts are what clients connect to; TargetPorts what the pods listen on.
	ServicePorts, TargetPorts []Port
	// Addresses are the Service's cluster addresses: some CNIs judge a packet before its
	// destination is translated to a pod's.
	Addresses []netip.Addr
}

// Port is a port, or a range of ports if End is not 0, of a protocol.
type Port struct {
	Protocol corev1.Protocol
	// Start and End are numbers from 1 to 65535, both included.
	Start, End int32
}

// DefaultEnvironment is what holds for nearly every cluster: DNS pods labelled k8s-app=kube-dns
// in kube-system, on port 53 over UDP and TCP. It has no service address, which a real cluster
// would have to be asked for.
func DefaultEnvironment() Environment {
	return Environment{DNS: ClusterDNS{
		Namespace:    metav1.NamespaceSystem,
		PodSelector:  map[string]string{"k8s-app": "kube-dns"},
		ServicePorts: dnsPorts(),
		TargetPorts:  dnsPorts(),
	}}
}
