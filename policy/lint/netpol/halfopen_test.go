package netpol

import (
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/lint/world/worldtest"
)

// What is looked up, or decided once for many, is what going through everything finds. These tests go
// through everything.

// halfOpenByPairs asks about every pair of pods, and every policy, by themselves.
func halfOpenByPairs(v *world.View, w world.World, direction networkingv1.PolicyType, clause connset.Clause, subjects, peers []*world.Pod) bool {
	pairs := 0
	for _, peer := range peers {
		policies := []*networkingv1.NetworkPolicy{v.Policy.NetworkPolicy}
		for _, other := range slices.Concat(w.Policies, w.Generated) {
			if other.Namespace != v.Policy.Namespace || other.Name != v.Policy.Name {
				policies = append(policies, other)
			}
		}
		var allowing []*world.Policy
		isolated := false
		for _, policy := range policies {
			selected := connset.Read(policy).Selected
			if policy.Namespace == peer.Namespace && kube.Isolates(&policy.Spec, opposite(direction)) && !selected.IsEmpty() && selected.Match(connset.Subject, peer.Labels) {
				isolated = true
				allowing = append(allowing, world.NewView(policy, v.Index, v.Work).Policy)
			}
		}
		for _, subject := range subjects {
			if subject == peer {
				continue
			}
			pairs++
			want := clause.Box.Ports.Union(world.Resolve(clause.Named, destination(direction, subject, peer)))
			if want.IsEmpty() || !isolated || !want.Intersect(portsBetween(allowing, peer, subject, opposite(direction))).IsEmpty() {
				return false
			}
		}
	}
	return pairs > 0
}

func TestHalvesAreOpenAsEveryPairOfPodsSays(t *testing.T) {
	count := map[bool]int{}
	worldtest.Often(t, func(t *rapid.T) {
		v, w := worldtest.Draw(t)
		worldtest.EachClause(v, func(direction networkingv1.PolicyType, clause connset.Clause) {
			subjects, peers := v.Subjects(), world.OnPodNetwork(v.Peers(clause.Box))
			r := &check.Report{}
			checkOtherHalf(r, newView(v.Policy.NetworkPolicy, inPolicy{}, v.Index, v.Work), direction, clause, subjects, peers)
			want := halfOpenByPairs(v, w, direction, clause, subjects, peers)
			if got := len(r.Findings) > 0; got != want {
				t.Fatalf("%s %+v: %v, want %v", direction, clause, got, want)
			}
			count[want]++
		})
	})
	if count[true] == 0 || count[false] == 0 {
		t.Errorf("always the same answer: %v", count)
	}
}
