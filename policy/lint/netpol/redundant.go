package netpol

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// Redundant reports where a policy changes nothing.
var Redundant = register(check.Check{
	ID: "redundant", Severity: check.Warn, About: check.OfPolicies, ByItself: true,
	Title: "Changes nothing",
	Text: `Other policies isolate all the pods that this one selects, and allow all that it allows. A policy without rules
is never reported.`,
})

func init() { runs[Redundant] = checkRedundant }

// checkRedundant finds policies that change nothing: every pod that could be selected is isolated without them, and
// allowed what they allow. A policy without rules is not reported: it still denies when the others are removed.
func checkRedundant(r *check.Report, v *view) {
	if !v.Known.Policies || len(v.Policy.Spec.Ingress)+len(v.Policy.Spec.Egress) == 0 {
		return
	}
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		if v.Policy.Isolates(direction) && (!v.isRedundant(direction) || v.missesSomebody(direction)) {
			return
		}
	}
	r.Find(Redundant, specPath, "remove it, if the other policies stay",
		"the other policies of namespace %s isolate the same pods, and allow all that this one allows", v.Policy.Namespace)
}

// missesSomebody says whether a peer of a direction matches no pod, where pods are known: the policy misspells the
// peer, or its pods do not exist yet.
func (v *view) missesSomebody(direction networkingv1.PolicyType) bool {
	return v.Known.Pods && slices.ContainsFunc(v.Policy.Clauses(direction), func(clause connset.Clause) bool {
		peer := world.PeerOf(direction, clause)
		return peer != nil && peer.IPBlock == nil && len(v.PeersOf(direction, clause).All) == 0
	})
}

func (v *view) isRedundant(direction networkingv1.PolicyType) bool {
	var isolated, boxes []connset.Box
	others := v.Others()
	for _, other := range others {
		if other.Isolates(direction) {
			isolated = append(isolated, other.Selected)
		}
	}
	if !v.Work.Spend(len(isolated)) || !world.IsWithin([]connset.Box{v.Policy.Selected}, isolated) {
		return false
	}
	clauses := world.ClausesOf(others, direction)
	for _, other := range clauses {
		boxes = append(boxes, other.Box)
	}
	allowed := connset.NewShelf(connset.Merged(boxes))
	return v.Work.Spend(len(boxes)) && !slices.ContainsFunc(v.Policy.Clauses(direction), func(clause connset.Clause) bool {
		left, ok := connset.SubtractWithin([]connset.Box{clause.Box}, allowed.Near(clause.Box), world.MostBoxes, v.Work.Spend)
		return !ok || len(left) > 0 || slices.ContainsFunc(clause.Named, func(port connset.NamedPort) bool {
			return !v.Work.Spend(len(clauses)) || !isNameAllowed(clause.Box, port, clauses)
		})
	})
}

// isNameAllowed says whether others allow a port by the same name, or by every number.
func isNameAllowed(box connset.Box, port connset.NamedPort, others []connset.Clause) bool {
	box.Ports = connset.PortRange(port.Protocol, 1, 65535)
	var allowed []connset.Box
	for _, other := range others {
		isSame := func(p connset.NamedPort) bool { return p.Name == port.Name && p.Protocol == port.Protocol }
		if slices.ContainsFunc(other.Named, isSame) {
			other.Box.Ports = box.Ports
		}
		allowed = append(allowed, other.Box)
	}
	return world.IsWithin([]connset.Box{box}, allowed)
}
