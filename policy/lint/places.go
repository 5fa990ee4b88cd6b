package lint

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
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
