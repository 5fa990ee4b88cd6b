package expand

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// end is the other end of a connection: what a peer, or one part of it, stands for.
type end struct {
	peers peerSet
	// pods says whether some of the peers are pods, which may be part of a mesh.
	pods bool
	// bringsPorts says whether the peer knows its ports, which hold in an egress rule without any.
	bringsPorts bool
	ports       portSet
}

// statement is the rule that a peer stands in, as far as the peer's own side cares.
type statement struct {
	// tier is the tier that the rule is for; of the servers of DNS, none.
	tier  string
	ports portSet
	// portsLeftToPeer: the rule says no ports, so those of the peer hold.
	portsLeftToPeer bool
}

func onePeer(peer networkingv1.NetworkPolicyPeer) peerSet {
	return peerSet{of: []keyedPeer{keyed(peer)}}
}

// resolve returns what a peer stands for in a direction. A peer that is not understood stands for
// nobody; so does one that refers to what is not there, or does not agree, which is noted.
func (x *expansion) resolve(at place, peer v1alpha1.Peer, direction v1alpha1.Direction, says statement) []end {
	switch {
	case peer.Everyone != nil:
		return []end{{peers: peerSet{everyone: true}, pods: true}}
	case peer.Tier != nil:
		return x.resolveTier(*peer.Tier)
	case peer.AppTier != nil:
		return x.resolveAppTier(at.child("appTier"), *peer.AppTier, direction, says)
	case peer.Pods != nil:
		pods := podsPeer(peer.Pods.PodSelector)
		pods.NamespaceSelector = peer.Pods.NamespaceSelector.DeepCopy()
		return []end{{peers: onePeer(pods), pods: true}}
	case peer.Namespaces != nil:
		return []end{{peers: onePeer(networkingv1.NetworkPolicyPeer{NamespaceSelector: peer.Namespaces.DeepCopy()}), pods: true}}
	case peer.Networks != nil:
		return []end{{peers: peerSet{of: networks(parse(peer.Networks.CIDRs), parse(peer.Networks.Except))}}}
	case peer.Internet != nil:
		if len(x.internet) == 0 { // it is long, and the same for every tier
			x.internet = internet(x.env)
		}
		return []end{{peers: peerSet{of: x.internet}}}
	case peer.Nodes != nil:
		return x.resolveNodes(at.child("nodes"))
	case peer.KubeAPIServer != nil:
		return x.resolveAPIServer(at.child("kubeAPIServer"), direction)
	case peer.Service != nil:
		return x.resolveService(at.child("service"), *peer.Service, says)
	}
	return nil
}

func (x *expansion) resolveTier(name string) []end {
	tier, found := x.tiers[name]
	if !found {
		return nil
	}
	return []end{{peers: peerSet{of: []keyedPeer{tier}}, pods: true}}
}

func tierOf(app *v1alpha1.AppTier, name string) *v1alpha1.Tier {
	i := slices.IndexFunc(app.Spec.Tiers, func(t v1alpha1.Tier) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &app.Spec.Tiers[i]
}

func (x *expansion) resolveNodes(at place) []end {
	if len(x.env.Nodes) == 0 {
		x.missing(at, Missing{Kind: "Node"}, "the addresses of the cluster's nodes are not known", "render against a cluster, or give Nodes with their addresses")
		return nil
	}
	return []end{{peers: hosts(x.env.Nodes)}}
}

// resolveAPIServer: the API server never connects from its Service's address.
func (x *expansion) resolveAPIServer(at place, direction v1alpha1.Direction) []end {
	listeners := slices.Clone(x.env.APIServer.Endpoints)
	if len(listeners) == 0 {
		x.missing(at, Missing{Kind: "EndpointSlice"}, "the endpoints of the Service default/kubernetes are not known",
			"render against a cluster, or give its EndpointSlices")
		return nil
	}
	if direction == v1alpha1.Egress && len(x.env.APIServer.Service.Addresses) > 0 {
		listeners = append(listeners, x.env.APIServer.Service)
	}
	var ends []end
	for _, listener := range listeners {
		ends = append(ends, end{peers: hosts(listener.Addresses), bringsPorts: true, ports: portSet{of: listener.Ports}})
	}
	return ends
}

func (x *expansion) resolveService(at place, reference v1alpha1.ServiceReference, says statement) []end {
	key := x.key(reference.Namespace, reference.Name)
	service, found := x.env.Services[key]
	switch {
	case !found:
		x.missing(at, Missing{Kind: "Service", Key: key}, "there is no Service "+key.String(), "create it, or correct the reference")
		return nil
	case len(service.PodSelector) == 0:
		x.note(at, v1alpha1.ReasonUnsupportedRef, "the Service "+key.String()+" has no selector, so it stands for no pods",
			"name the addresses behind it with networks")
		return nil
	case says.portsLeftToPeer && len(service.UnresolvedPorts) > 0:
		names := strings.Join(service.UnresolvedPorts, ", ")
		x.missing(at, Missing{Kind: "Service", Key: key, Ports: names}, "no pod behind the Service "+key.String()+" declares the port "+names,
			"declare it in the pods' containers, or write the Service's targetPort as a number")
	}
	pods := podsOf(key.Namespace, metav1.LabelSelector{MatchLabels: service.PodSelector}, x.app.Namespace)
	return []end{{peers: onePeer(pods), pods: true, bringsPorts: true, ports: portSet{of: service.TargetPorts}}}
}
