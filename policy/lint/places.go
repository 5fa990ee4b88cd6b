package lint

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/model"
)

// places say where the parts of a judged policy are written: in a NetworkPolicy, or in the AppTier whose tier it
// stands for.
type places interface {
	// rules are all of a direction, and rule is one of them.
	rules(direction networkingv1.PolicyType) *field.Path
	rule(direction networkingv1.PolicyType, rule int) *field.Path
	// peer is one of a rule, as texts name it.
	peer(direction networkingv1.PolicyType, rule, peer int) *field.Path
	// peerField is a field of a peer, or the peer itself if it is empty; nil if it is judged otherwise.
	peerField(direction networkingv1.PolicyType, rule, peer int, name string) *field.Path
	// port is the number or name of one of a rule's ports; nil if the rule is for others as well.
	port(direction networkingv1.PolicyType, rule, port int) *field.Path
}

// inPolicy are the places of a NetworkPolicy.
type inPolicy struct{}

func (inPolicy) rules(direction networkingv1.PolicyType) *field.Path { return rulesPath(direction) }

func (inPolicy) rule(direction networkingv1.PolicyType, rule int) *field.Path {
	return rulesPath(direction).Index(rule)
}

func (inPolicy) peer(direction networkingv1.PolicyType, rule, peer int) *field.Path {
	return peersPath(direction, rule).Index(peer)
}

func (p inPolicy) peerField(direction networkingv1.PolicyType, rule, peer int, name string) *field.Path {
	path := p.peer(direction, rule, peer)
	if name == "" {
		return path
	}
	return path.Child(name)
}

func (inPolicy) port(direction networkingv1.PolicyType, rule, port int) *field.Path {
	return rulesPath(direction).Index(rule).Child("ports").Index(port).Child("port")
}

// inTier are the places of a tier, and of the rules that are for every tier.
type inTier struct {
	tier int
	// ingress and egress are the rules of the tier, and then those of every tier, as the policy has them.
	ingress, egress []model.Rule
}

func (p inTier) in(direction networkingv1.PolicyType) []model.Rule {
	if direction == ingress {
		return p.ingress
	}
	return p.egress
}

func (p inTier) rules(direction networkingv1.PolicyType) *field.Path {
	return model.Tier(p.tier).Path().Child(word(direction))
}

func (p inTier) rule(direction networkingv1.PolicyType, rule int) *field.Path {
	return p.in(direction)[rule].At.Path()
}

func (p inTier) peer(direction networkingv1.PolicyType, rule, peer int) *field.Path {
	path, _ := peerPlace(p.in(direction)[rule], peer)
	return path
}

func (p inTier) peerField(direction networkingv1.PolicyType, rule, peer int, name string) *field.Path {
	of := p.in(direction)[rule]
	path, isJudged := peerPlace(of, peer)
	switch {
	case !isJudged:
		return nil
	case name == "" || of.Peers[peer].Pods == nil: // the field says all that there is to say
		return path
	}
	return path.Child(name)
}

func (p inTier) port(direction networkingv1.PolicyType, rule, port int) *field.Path {
	of := p.in(direction)[rule]
	path := of.At.Path()
	if len(of.Ports) == 0 {
		path = model.Tier(p.tier).Path()
	}
	if of.Tier == nil {
		return nil // some tier's pods may well listen elsewhere
	}
	return path.Child("ports").Index(port).Child("port")
}

// peerPlace is where a peer of an AppTier says which pods it means; false if it says that otherwise than by
// selectors.
func peerPlace(rule model.Rule, i int) (*field.Path, bool) {
	path := rule.PeerAt(i).Path()
	switch kind := rule.Peers[i].Kind(); kind {
	case v1alpha1.PodsPeerKind, v1alpha1.NamespacesPeerKind, v1alpha1.ServicePeerKind:
		return path.Child(string(kind)), true
	default:
		return path, false
	}
}

// isTier says whether the policy stands for a tier of an AppTier.
func (v *view) isTier() bool {
	_, isTier := v.places.(inTier)
	return isTier
}

// clausePlace is the place of what a clause stands for, as texts name it.
func (v *view) clausePlace(direction networkingv1.PolicyType, clause connset.Clause) *field.Path {
	if clause.Peer < 0 {
		return v.places.rule(direction, clause.Rule)
	}
	return v.places.peer(direction, clause.Rule, clause.Peer)
}

// clauseField is a field of what a clause stands for, or that itself; nil if it is judged otherwise.
func (v *view) clauseField(direction networkingv1.PolicyType, clause connset.Clause, name string) *field.Path {
	if clause.Peer < 0 {
		return v.places.rule(direction, clause.Rule)
	}
	return v.places.peerField(direction, clause.Rule, clause.Peer, name)
}
