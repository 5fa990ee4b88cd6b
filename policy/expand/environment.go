package expand

import (
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// Environment is what an AppTier's meaning depends on beside its spec. What a peer refers to and is
// not here matches nothing.
type Environment struct {
	// DNS is the cluster's DNS Service.
	DNS ClusterDNS
	// ClusterNetworks are the address ranges of the cluster's pods, services and nodes, of either
	// family, which are not the internet. Private ranges need not be among them.
	ClusterNetworks []netip.Prefix
	// AppTiers are other AppTiers that exist and are valid. They include the referenced ones.
	AppTiers map[types.NamespacedName]*v1alpha1.AppTier
	// Services are Services that exist. They include the referenced ones.
	Services map[types.NamespacedName]Service
	// Nodes are the addresses of the cluster's nodes.
	Nodes []netip.Addr
	// APIServer is how the Kubernetes API server is reached.
	APIServer APIServer
}

// Service is a Service as a peer: the pods behind it, on the ports that they listen on.
type Service struct {
	// PodSelector is the Service's selector; empty if it has none.
	PodSelector map[string]string
	// TargetPorts are the numbers that the pods listen on.
	TargetPorts []model.Port
	// UnresolvedPorts are the names of target ports that no pod of the Service declares.
	UnresolvedPorts []string
}

// APIServer is how the Kubernetes API server is reached: at the endpoints of the Service
// default/kubernetes, and at the Service's own addresses, since some CNIs judge a packet before its
// destination is translated.
type APIServer struct {
	Endpoints []Listener
	Service   Listener
}

// Listener is a number of addresses that listen on the same ports.
type Listener struct {
	Addresses []netip.Addr
	Ports     []model.Port
}

// ClusterDNS is the cluster's DNS Service.
type ClusterDNS struct {
	// Namespace of the Service, and so of its pods.
	Namespace string
	// PodSelector is the Service's selector.
	PodSelector map[string]string
	// ServicePorts are what clients connect to; TargetPorts what the pods listen on.
	ServicePorts, TargetPorts []model.Port
	// Addresses are the Service's cluster addresses: some CNIs judge a packet before its
	// destination is translated to a pod's.
	Addresses []netip.Addr
}

// DefaultEnvironment is what holds for nearly every cluster: DNS pods labelled k8s-app=kube-dns
// in kube-system, on port 53 over UDP and TCP. What only a real cluster knows is not there: addresses
// of services and nodes, Services and other AppTiers.
func DefaultEnvironment() Environment {
	return Environment{DNS: ClusterDNS{
		Namespace:    metav1.NamespaceSystem,
		PodSelector:  map[string]string{"k8s-app": "kube-dns"},
		ServicePorts: dnsPorts(),
		TargetPorts:  dnsPorts(),
	}}
}
