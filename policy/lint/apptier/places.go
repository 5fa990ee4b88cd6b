package apptier

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// inTier are the places of a tier, and of the rules for every tier.
type inTier struct {
	tier int
	// ingress and egress are the rules of the tier, and then those of every tier, as the policy has them.
	ingress, egress []model.Rule
}

func (p inTier) in(direction networkingv1.PolicyType) []model.Rule {
	if direction == networkingv1.PolicyTypeIngress {
		return p.ingress
	}
	return p.egress
}

func (p inTier) Rules(direction networkingv1.PolicyType) *field.Path {
	return model.Tier(p.tier).Path().Child(strings.ToLower(string(direction)))
}

func (p inTier) Rule(direction networkingv1.PolicyType, rule int) *field.Path {
	return p.in(direction)[rule].At.Path()
}

func (p inTier) Peer(direction networkingv1.PolicyType, rule, peer int) *field.Path {
	path, _ := peerPlace(p.in(direction)[rule], peer)
	return path
}

func (p inTier) PeerField(direction networkingv1.PolicyType, rule, peer int, name string) *field.Path {
	of := p.in(direction)[rule]
	path, isJudged := peerPlace(of, peer)
	switch {
	case !isJudged:
		return nil
	case name == "" || of.Peers[peer].Pods == nil: // the peer has no field of that name
		return path
	}
	return path.Child(name)
}

func (p inTier) Port(direction networkingv1.PolicyType, rule, port int) *field.Path {
	of := p.in(direction)[rule]
	path := of.At.Path()
	if len(of.Ports) == 0 {
		path = model.Tier(p.tier).Path()
	}
	if of.Tier == nil {
		return nil // the pods of some tier may listen on another port
	}
	return path.Child("ports").Index(port).Child("port")
}

// peerPlace is where a peer of an AppTier selects pods; false if it does not do so by selectors.
func peerPlace(rule model.Rule, i int) (*field.Path, bool) {
	path := rule.PeerAt(i).Path()
	switch kind := rule.Peers[i].Kind(); kind {
	case v1alpha1.PodsPeerKind, v1alpha1.NamespacesPeerKind, v1alpha1.ServicePeerKind:
		return path.Child(string(kind)), true
	default:
		return path, false
	}
}
