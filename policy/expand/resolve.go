package expand

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// end is the other end of a connection: what a peer, or one part of it, resolves to.
type end struct {
	peers peerSet
	// pods says whether some of the peers are pods, which may be part of a mesh.
	pods bool
	// bringsPorts says whether the peer knows its ports, which hold in an egress rule without any.
	bringsPorts bool
	ports       model.Ports
}

// statement is the rule of a peer, as far as the peer's own side needs it.
type statement struct {
	// tier is the tier that the rule is for; of the servers of DNS, none.
	tier  string
	ports model.Ports
	// portsLeftToPeer: the rule lists no ports, so the peer's ports apply.
	portsLeftToPeer bool
}

func onePeer(peer networkingv1.NetworkPolicyPeer) peerSet {
	return peerSet{of: []keyedPeer{keyed(peer)}}
}

// resolver resolves a peer. An unknown peer resolves to nothing. So does a reference to something that does not exist,
// or does not agree; the resolver notes it as unresolved.
type resolver struct {
	*expansion
	at        model.Place
	direction v1alpha1.Direction
	says      statement
}

// resolve returns what a peer resolves to in a direction.
func (x *expansion) resolve(at model.Place, peer *v1alpha1.Peer, direction v1alpha1.Direction, says statement) []end {
	return model.Visit(peer, resolver{x, at, direction, says})
}

// Nobody resolves an unknown peer.
func (resolver) Nobody() []end { return nil }

// Everyone includes pods.
func (resolver) Everyone() []end { return []end{{peers: peerSet{everyone: true}, pods: true}} }

// Tier resolves to the pods of the tier.
func (x resolver) Tier(name string) []end {
	tier, found := x.tiers[name]
	if !found {
		return nil
	}
	return []end{{peers: peerSet{of: []keyedPeer{tier}}, pods: true}}
}

// Pods resolves to pods of the AppTier's own namespace, unless the peer names others.
func (resolver) Pods(peer *v1alpha1.PodsPeer) []end {
	pods := podsPeer(peer.PodSelector)
	pods.NamespaceSelector = peer.NamespaceSelector.DeepCopy()
	return []end{{peers: onePeer(pods), pods: true}}
}

// Namespaces resolves to all pods of the namespaces.
func (resolver) Namespaces(selector *metav1.LabelSelector) []end {
	return []end{{peers: onePeer(networkingv1.NetworkPolicyPeer{NamespaceSelector: selector.DeepCopy()}), pods: true}}
}

// Networks resolves to addresses.
func (resolver) Networks(peer *v1alpha1.NetworksPeer) []end {
	return []end{{peers: peerSet{of: networks(parse(peer.CIDRs), parse(peer.Except))}}}
}

// Internet resolves to addresses.
func (x resolver) Internet() []end {
	if len(x.internet) == 0 { // it is long, and the same for every tier
		x.internet = internet(x.env)
	}
	if x.internetAt != nil {
		x.internetAt[x.at] = true
	}
	return []end{{peers: peerSet{of: x.internet}}}
}

// Nodes resolves to the addresses of nodes.
func (x resolver) Nodes() []end {
	if len(x.env.Nodes) == 0 {
		x.missing(x.at.Child("nodes"), Missing{Kind: "Node"}, "the addresses of the cluster's nodes are not known",
			"render against a cluster, or give Nodes with their addresses")
		return nil
	}
	return []end{{peers: hosts(x.env.Nodes)}}
}

// KubeAPIServer resolves to its endpoints, and in egress to its Service too: it never connects from its Service's
// address.
func (x resolver) KubeAPIServer() []end {
	listeners := slices.Clone(x.env.APIServer.Endpoints)
	if len(listeners) == 0 {
		x.missing(x.at.Child("kubeAPIServer"), Missing{Kind: "EndpointSlice"}, "the endpoints of the Service default/kubernetes are not known",
			"render against a cluster, or give its EndpointSlices")
		return nil
	}
	if x.direction == v1alpha1.Egress && len(x.env.APIServer.Service.Addresses) > 0 {
		listeners = append(listeners, x.env.APIServer.Service)
	}
	var ends []end
	for _, listener := range listeners {
		ends = append(ends, end{peers: hosts(listener.Addresses), bringsPorts: true, ports: model.Ports{Of: listener.Ports}})
	}
	return ends
}

// Service resolves to the pods behind it.
func (x resolver) Service(reference *v1alpha1.ServiceReference) []end {
	at, key := x.at.Child("service"), model.Key(x.app, reference.Namespace, reference.Name)
	service, found := x.env.Services[key]
	switch {
	case !found:
		x.missing(at, Missing{Kind: "Service", Key: key}, "there is no Service "+key.String(), "create it, or correct the reference")
		return nil
	case len(service.PodSelector) == 0:
		x.note(at, v1alpha1.ReasonUnsupportedRef, "the Service "+key.String()+" has no selector, so it matches no pods",
			"name the addresses behind it with networks")
		return nil
	case x.says.portsLeftToPeer && len(service.UnresolvedPorts) > 0:
		names := strings.Join(service.UnresolvedPorts, ", ")
		x.missing(at, Missing{Kind: "Service", Key: key, Ports: names}, "no pod behind the Service "+key.String()+" declares the port "+names,
			"declare it in the pods' containers, or write the Service's targetPort as a number")
	}
	pods := podsOf(key.Namespace, metav1.LabelSelector{MatchLabels: service.PodSelector}, x.app.Namespace)
	return []end{{peers: onePeer(pods), pods: true, bringsPorts: true, ports: model.Ports{Of: service.TargetPorts}}}
}
