package reach

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

// RuleVerdict is what one rule of a policy that isolates an end makes of a flow. It allows the flow if
// both its peers and its ports match.
type RuleVerdict struct {
	Policy    types.NamespacedName
	Direction networkingv1.PolicyType
	// Index is the position of the rule in spec.ingress or spec.egress.
	Index int
	// Peers says whether the other end is one of the rule's peers.
	Peers Verdict
	// Ports says whether the flow's port is one of the rule's.
	Ports bool
}

// Rules returns what every rule that could allow a flow makes of it, in the order of
// [Decision.Policies]: for an end that is not isolated, none. There are none either for a flow that
// nothing can be said about.
func (e *Evaluator) Rules(flow Flow) (egress, ingress []RuleVerdict) {
	source, destination, err := e.ends(flow)
	if err != nil {
		return nil, nil
	}
	return e.rules(networkingv1.PolicyTypeEgress, source, destination, flow),
		e.rules(networkingv1.PolicyTypeIngress, destination, source, flow)
}

func (e *Evaluator) rules(direction networkingv1.PolicyType, subject, other party, flow Flow) []RuleVerdict {
	var isolating []*policy
	for _, pod := range subject.pods() {
		_, own, _ := e.isolation(direction, pod)
		isolating = append(isolating, own...)
	}
	var verdicts []RuleVerdict
	to := destinationOf(direction, subject, other, flow)
	for _, p := range isolating {
		for _, r := range p.Rules(direction) {
			if !lets(r.Action) {
				break
			}
			peers, _ := matchesPeers(r.Peers, other)
			ports, _ := matchesPort(r.Ports, to)
			verdicts = append(verdicts, RuleVerdict{Policy: p.Name, Direction: direction, Index: r.Index, Peers: peers, Ports: ports})
		}
	}
	return verdicts
}

// Isolating returns the policies that isolate a pod in a direction, sorted by name, and whether there
// are any. A pod that is on its node's network, that has finished, or that is not in the snapshot is
// not isolated.
func (e *Evaluator) Isolating(name types.NamespacedName,
	direction networkingv1.PolicyType) (policies []types.NamespacedName, isolated bool) {
	pod := e.pods[name]
	if pod == nil || pod.Spec.HostNetwork || Finished(pod) {
		return nil, false
	}
	d, _, _ := e.isolation(direction, pod)
	return d.Policies, d.Isolated
}
