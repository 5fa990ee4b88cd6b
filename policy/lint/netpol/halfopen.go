package netpol

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// HalfOpen reports where one end allows a connection and the other denies it.
var HalfOpen = register(check.Check{
	ID: "half-open", Severity: check.Warn, About: check.OfBoth, Tiers: true,
	Title: "One end allows what the other denies",
	Text: `A connection needs the egress of its source and the ingress of its destination, on the same port and protocol.
Reported if no selected pod can use what a rule allows, because policies at the other end deny it.`,
})

func init() { runs[HalfOpen] = checkHalves }

// mostPairs limits the pairs of pods that are compared for one peer.
const mostPairs = 50_000

// checkHalves asks for both halves of connections: egress of the source, and ingress of the destination
// (https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation).
// It finds peers that the policy allows, while the policies at every other end deny all that it allows. A peer that
// is only partly denied may be deliberate: the rule is wider than its purpose.
func checkHalves(r *check.Report, v *view) {
	if !v.Known.Policies {
		return
	}
	subjects := v.Subjects()
	for direction, clause := range v.podPeers() {
		if _, known := v.candidates(world.PeerOf(direction, clause), clause.Box); known {
			checkOtherHalf(r, v, direction, clause, subjects, v.PeersOf(direction, clause).Meant)
		}
	}
}

func checkOtherHalf(r *check.Report, v *view, direction networkingv1.PolicyType, clause connset.Clause, subjects, peers []*world.Pod) {
	if len(subjects)*len(peers) > mostPairs {
		return
	}
	passing := map[end][]*world.Pod{}
	for _, peer := range peers {
		as := v.endOf(peer, direction)
		if _, found := passing[as]; !found {
			passing[as] = v.passing(direction, clause, subjects, peer)
		}
		// No pod's policies are asked about what it sends itself.
		if slices.ContainsFunc(passing[as], func(subject *world.Pod) bool { return subject != peer }) {
			return // some can connect, or another check reports it
		}
	}
	subject, peer := lastPair(subjects, peers)
	if subject == nil {
		return
	}
	from, to := subject, peer
	if direction == ingress {
		from, to = peer, subject
	}
	path := v.clauseField(direction, clause, "")
	if r.IsFull(HalfOpen, check.Warn, path) {
		return
	}
	r.Find(HalfOpen, path, fmt.Sprintf("allow the same in %s of %s, or remove this", word(opposite(direction)), words.Pod(peer)),
		"this allows %s to reach %s, but the policies that select %s deny that %s, so the connection is denied",
		words.Pod(from), words.Pod(to), words.Pod(peer), word(opposite(direction)))
}

// end is what the policies of a peer depend on, beside the subject. If the peer is the destination, this includes the
// numbers of its ports.
type end struct {
	world.Membership
	ports string
}

func (v *view) endOf(peer *world.Pod, direction networkingv1.PolicyType) end {
	if direction == ingress {
		return end{Membership: v.Membership(peer)}
	}
	return end{v.Membership(peer), peer.Named}
}

// passing returns the first two subjects that a clause and the policies of a peer both allow, or that the clause does
// not cover. Two are enough to find one that is not the peer itself.
func (v *view) passing(direction networkingv1.PolicyType, clause connset.Clause, subjects []*world.Pod, peer *world.Pod) []*world.Pod {
	var out []*world.Pod
	policies, isolated := v.Union(peer, opposite(direction))
	for _, subject := range subjects {
		if !v.Work.Spend(rulesIn(policies, opposite(direction))) {
			break
		}
		want := clause.Box.Ports.Union(world.Resolve(clause.Named, destination(direction, subject, peer)))
		if want.IsEmpty() || !isolated || !want.Intersect(portsBetween(policies, peer, subject, opposite(direction))).IsEmpty() {
			if out = append(out, subject); len(out) == 2 {
				break
			}
		}
	}
	return out
}

// lastPair returns the last subject and the last peer that are two pods; nil if there are none.
func lastPair(subjects, peers []*world.Pod) (subject, peer *world.Pod) {
	for _, peer := range slices.Backward(peers) {
		for _, subject := range slices.Backward(subjects) {
			if subject != peer {
				return subject, peer
			}
		}
	}
	return nil, nil
}

func destination(direction networkingv1.PolicyType, subject, peer *world.Pod) *world.Pod {
	if direction == ingress {
		return subject
	}
	return peer
}

// portsBetween returns the ports that policies of one pod allow with another. If this depends on an address that is not
// known, the port counts as allowed: a finding must be certain.
func portsBetween(policies []*world.Policy, pod, peer *world.Pod, direction networkingv1.PolicyType) connset.Ports {
	var ports connset.Ports
	destination := pod
	if direction == egress {
		destination = peer
	}
	for _, policy := range policies {
		clauses := policy.Clauses(direction)
		for i := range clauses {
			if clause := &clauses[i]; world.IsPeer(&clause.Box, peer) {
				ports = ports.Union(clause.Box.Ports).Union(world.Resolve(clause.Named, destination))
			}
		}
	}
	return ports
}
