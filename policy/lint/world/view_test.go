package world_test

import (
	"cmp"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/world/worldtest"
	"github.com/apptier/apptier/policy/reach"
)

// What is looked up, or decided once for many, is what going through everything finds. These tests go
// through everything.

func TestPeersAreThosePodsThatMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, w := worldtest.Draw(t)
		worldtest.EachClause(v, func(_ networkingv1.PolicyType, clause connset.Clause) {
			var want []*corev1.Pod
			for _, pod := range w.Pods {
				if !reach.Finished(pod) && clause.Box.Match(connset.Namespace, v.At(pod.Namespace).Labels) && clause.Box.Match(connset.Peer, pod.Labels) {
					want = append(want, pod)
				}
			}
			slices.SortStableFunc(want, func(a, b *corev1.Pod) int {
				return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
			})
			var got []*corev1.Pod
			for _, pod := range v.Peers(clause.Box) {
				got = append(got, pod.Pod)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%+v: %d peers, want %d", clause.Box, len(got), len(want))
			}
		})
	})
}
