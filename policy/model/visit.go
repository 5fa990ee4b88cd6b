package model

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Visitor answers a question about a peer, by its kind. A new kind of peer is a new method, so that code without an
// answer for it does not compile.
type Visitor[T any] interface {
	// Tier is asked about a tier of this AppTier, by its name.
	Tier(name string) T
	// AppTier is asked about a tier of another AppTier.
	AppTier(reference *v1alpha1.AppTierReference) T
	Pods(pods *v1alpha1.PodsPeer) T
	Namespaces(selector *metav1.LabelSelector) T
	Networks(networks *v1alpha1.NetworksPeer) T
	Internet() T
	Everyone() T
	Nodes() T
	KubeAPIServer() T
	Service(reference *v1alpha1.ServiceReference) T
	// Nobody is called for a peer of no kind, of several, or of one that this version does not know.
	Nobody() T
}

// Visit asks a visitor about a peer.
func Visit[T any](peer *v1alpha1.Peer, visitor Visitor[T]) T {
	switch peer.Kind() {
	case v1alpha1.TierPeerKind:
		return visitor.Tier(*peer.Tier)
	case v1alpha1.AppTierPeerKind:
		return visitor.AppTier(peer.AppTier)
	case v1alpha1.PodsPeerKind:
		return visitor.Pods(peer.Pods)
	case v1alpha1.NamespacesPeerKind:
		return visitor.Namespaces(peer.Namespaces)
	case v1alpha1.NetworksPeerKind:
		return visitor.Networks(peer.Networks)
	case v1alpha1.InternetPeerKind:
		return visitor.Internet()
	case v1alpha1.EveryonePeerKind:
		return visitor.Everyone()
	case v1alpha1.NodesPeerKind:
		return visitor.Nodes()
	case v1alpha1.KubeAPIServerPeerKind:
		return visitor.KubeAPIServer()
	case v1alpha1.ServicePeerKind:
		return visitor.Service(peer.Service)
	}
	return visitor.Nobody()
}

// BringsPorts says whether a peer knows its ports, which an egress rule without any then means.
func BringsPorts(peer *v1alpha1.Peer) bool { return Visit(peer, bringsPorts{}) }

type bringsPorts struct{}

func (bringsPorts) AppTier(*v1alpha1.AppTierReference) bool { return true } // those that it accepts
func (bringsPorts) Service(*v1alpha1.ServiceReference) bool { return true } // its target ports
func (bringsPorts) KubeAPIServer() bool                     { return true }
func (bringsPorts) Tier(string) bool                        { return false }
func (bringsPorts) Pods(*v1alpha1.PodsPeer) bool            { return false }
func (bringsPorts) Namespaces(*metav1.LabelSelector) bool   { return false }
func (bringsPorts) Networks(*v1alpha1.NetworksPeer) bool    { return false }
func (bringsPorts) Internet() bool                          { return false }
func (bringsPorts) Everyone() bool                          { return false }
func (bringsPorts) Nodes() bool                             { return false }
func (bringsPorts) Nobody() bool                            { return false }
