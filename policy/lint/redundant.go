package lint

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
)

// Redundant is found where a policy changes nothing.
const Redundant ID = "redundant"

func init() {
	register(Check{
		ID: Redundant, Severity: Warn, About: ofPolicies,
		Title: "Changes nothing",
		Text: `Other policies isolate all the pods that this one selects, and allow all that it allows. A policy without rules
is never reported.`,
		Policy: checkRedundant, ByItself: true,
	})
}

// mostBoxes bounds what is looked at to decide a question about all pods that could exist.
const mostBoxes = 2_000

// checkRedundant finds policies that change nothing: every pod that could be selected is isolated
// without them, and allowed what they allow. A policy without rules is spared: it says something
// that stays true when the others go.
func checkRedundant(r *report, v *view) {
	if !v.known.Policies || len(v.policy.Spec.Ingress)+len(v.policy.Spec.Egress) == 0 {
		return
	}
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		if v.policy.isolates(direction) && (!v.isRedundant(direction) || v.missesSomebody(direction)) {
			return
		}
	}
	r.find(Redundant, specPath, "remove it, if the other policies are to stay", "the other policies of namespace %s isolate the same pods, and allow all that this one allows", v.policy.Namespace)
}

// missesSomebody says whether a peer of a direction matches no pod, where pods are known: the policy is
// for somebody that it does not name rightly, or who is still to come.
func (v *view) missesSomebody(direction networkingv1.PolicyType) bool {
	return v.known.Pods && slices.ContainsFunc(v.policy.clauses(direction), func(clause connset.Clause) bool {
		peer := peerOf(direction, clause)
		return peer != nil && peer.IPBlock == nil && len(v.peersOf(direction, clause).all) == 0
	})
}

func (v *view) isRedundant(direction networkingv1.PolicyType) bool {
	var isolated, boxes []connset.Box
	others := v.others()
	for _, other := range others {
		if other.isolates(direction) {
			isolated = append(isolated, other.selected)
		}
	}
	if !v.work.spend(len(isolated)) || !isWithin([]connset.Box{v.policy.selected}, isolated) {
		return false
	}
	clauses := clausesOf(others, direction)
	for _, other := range clauses {
		boxes = append(boxes, other.Box)
	}
	allowed := connset.NewShelf(connset.Merged(boxes))
	return v.work.spend(len(boxes)) && !slices.ContainsFunc(v.policy.clauses(direction), func(clause connset.Clause) bool {
		left, ok := connset.SubtractWithin([]connset.Box{clause.Box}, allowed.Near(clause.Box), mostBoxes, v.work.spend)
		return !ok || len(left) > 0 || slices.ContainsFunc(clause.Named, func(port connset.NamedPort) bool {
			return !v.work.spend(len(clauses)) || !isNameAllowed(clause.Box, port, clauses)
		})
	})
}

// isNameAllowed says whether others allow a port by name as well, or whatever its number is.
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
	return isWithin([]connset.Box{box}, allowed)
}

// isWithin says whether boxes are certain to lie within others.
func isWithin(boxes, others []connset.Box) bool {
	left, ok := connset.Subtract(boxes, others, mostBoxes)
	return ok && len(left) == 0
}
