package lint

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/space"
)

// A connection needs both halves: egress of its source, and ingress of its destination
// (https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation).

// mostPairs bounds how many pairs of pods are looked at for one peer.
const mostPairs = 50_000

// checkHalves finds peers that the policy allows, while the policies at every other end deny all
// that it allows: the connection does not come about. Peers that are only partly denied may be meant
// so, when a rule is wider than what it is for.
func checkHalves(r *report, v *view) {
	if !v.Known.Policies {
		return
	}
	subjects := v.subjects()
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		for _, clause := range v.clausesOf(v.policy, direction) {
			peer := peerOf(direction, clause)
			if peer == nil || peer.IPBlock != nil {
				continue
			}
			if _, known := v.candidates(peer, clause.Box); known {
				checkOtherHalf(r, v, direction, clause, subjects, onPodNetwork(v.peers(clause.Box)))
			}
		}
	}
}

func checkOtherHalf(r *report, v *view, direction networkingv1.PolicyType, clause space.Clause, subjects, peers []*corev1.Pod) {
	if len(subjects)*len(peers) > mostPairs {
		return
	}
	var subject, peer *corev1.Pod
	for _, p := range peers {
		clauses, isolated := v.union(p, opposite(direction))
		for _, s := range subjects {
			if s == p {
				continue
			}
			want := clause.Box.Ports.Union(resolve(clause.Named, destination(direction, s, p)))
			if want.IsEmpty() || !isolated || !want.Intersect(v.portsBetween(clauses, p, s, opposite(direction))).IsEmpty() {
				return // it comes about for some, or it is another check's matter
			}
			subject, peer = s, p
		}
	}
	if subject == nil {
		return
	}
	from, to := subject, peer
	if direction == ingress {
		from, to = peer, subject
	}
	r.warn(HalfOpen, clausePath(direction, clause), fmt.Sprintf("allow the same in %s of %s, or remove this", word(opposite(direction)), podWords(peer)),
		"this allows %s to reach %s, but the policies that select %s deny that %s, so it does not come about",
		podWords(from), podWords(to), podWords(peer), word(opposite(direction)))
}

func opposite(direction networkingv1.PolicyType) networkingv1.PolicyType {
	if direction == ingress {
		return egress
	}
	return ingress
}

func destination(direction networkingv1.PolicyType, subject, peer *corev1.Pod) *corev1.Pod {
	if direction == ingress {
		return subject
	}
	return peer
}
