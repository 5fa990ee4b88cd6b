package v1alpha1

// PeerKind is the name of the field of a Peer that is set.
type PeerKind string

// Kinds of peers, in the order of the schema. The CEL rules of Peer and EgressRule name them too; a test checks that
// they agree.
const (
	TierPeerKind          PeerKind = "tier"
	AppTierPeerKind       PeerKind = "appTier"
	PodsPeerKind          PeerKind = "pods"
	NamespacesPeerKind    PeerKind = "namespaces"
	NetworksPeerKind      PeerKind = "networks"
	InternetPeerKind      PeerKind = "internet"
	EveryonePeerKind      PeerKind = "everyone"
	NodesPeerKind         PeerKind = "nodes"
	KubeAPIServerPeerKind PeerKind = "kubeAPIServer"
	ServicePeerKind       PeerKind = "service"
)

// Kinds returns the kinds that are set, in the order of the schema. A valid peer has exactly one.
func (p *Peer) Kinds() []PeerKind {
	var kinds []PeerKind
	for _, kind := range []struct {
		PeerKind
		isSet bool
	}{
		{TierPeerKind, p.Tier != nil},
		{AppTierPeerKind, p.AppTier != nil},
		{PodsPeerKind, p.Pods != nil},
		{NamespacesPeerKind, p.Namespaces != nil},
		{NetworksPeerKind, p.Networks != nil},
		{InternetPeerKind, p.Internet != nil},
		{EveryonePeerKind, p.Everyone != nil},
		{NodesPeerKind, p.Nodes != nil},
		{KubeAPIServerPeerKind, p.KubeAPIServer != nil},
		{ServicePeerKind, p.Service != nil},
	} {
		if kind.isSet {
			kinds = append(kinds, kind.PeerKind)
		}
	}
	return kinds
}

// Kind returns the kind of a valid peer. It is empty for a peer of no kind or of several, which matches nothing.
func (p *Peer) Kind() PeerKind {
	kinds := p.Kinds()
	if len(kinds) != 1 {
		return ""
	}
	return kinds[0]
}
