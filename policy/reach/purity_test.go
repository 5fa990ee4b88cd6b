package reach_test

import (
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		flow := drawFlow(t, s)
		want := reach.Allowed(s, flow)
		shuffled := shuffle(s, rapid.Int64().Draw(t, "seed"))
		if diff := cmp.Diff(want, reach.Allowed(shuffled, flow)); diff != "" {
			t.Fatalf("%+v\n%s", flow, diff)
		}
	})
}

// shuffle returns the snapshot with its lists in another order.
func shuffle(s reach.Snapshot, seed int64) reach.Snapshot {
	r := rand.New(rand.NewSource(seed))
	return reach.Snapshot{
		Namespaces: shuffled(r, s.Namespaces),
		Pods:       shuffled(r, s.Pods),
		Policies:   shuffled(r, s.Policies),
		Nodes:      shuffled(r, s.Nodes),
	}
}

func shuffled[T any](r *rand.Rand, list []T) []T {
	out := make([]T, 0, len(list))
	for _, i := range r.Perm(len(list)) {
		out = append(out, list[i])
	}
	return out
}

// The order of rules, peers and ports may change which rule is named, never the verdict.
func TestOrderWithinPoliciesDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		flow := drawFlow(t, s)
		r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		want := reach.Allowed(s, flow).Verdict
		other := s
		other.Policies = nil
		for _, np := range s.Policies {
			np = np.DeepCopy()
			np.Spec.Ingress, np.Spec.Egress = shuffled(r, np.Spec.Ingress), shuffled(r, np.Spec.Egress)
			for i, rule := range np.Spec.Ingress {
				np.Spec.Ingress[i].From, np.Spec.Ingress[i].Ports = shuffled(r, rule.From), shuffled(r, rule.Ports)
			}
			for i, rule := range np.Spec.Egress {
				np.Spec.Egress[i].To, np.Spec.Egress[i].Ports = shuffled(r, rule.To), shuffled(r, rule.Ports)
			}
			other.Policies = append(other.Policies, np)
		}
		if got := reach.Allowed(other, flow); got.Verdict != want {
			t.Fatalf("%+v: was %s\n%s", flow, want, got)
		}
	})
}

func TestSnapshotIsNotModified(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		before := deepCopy(s)
		reach.Allowed(s, drawFlow(t, s))
		if diff := cmp.Diff(before, s); diff != "" {
			t.Fatal(diff)
		}
	})
}

func deepCopy(s reach.Snapshot) reach.Snapshot {
	var out reach.Snapshot
	for _, o := range s.Namespaces {
		out.Namespaces = append(out.Namespaces, o.DeepCopy())
	}
	for _, o := range s.Pods {
		out.Pods = append(out.Pods, o.DeepCopy())
	}
	for _, o := range s.Policies {
		out.Policies = append(out.Policies, o.DeepCopy())
	}
	for _, o := range s.Nodes {
		out.Nodes = append(out.Nodes, o.DeepCopy())
	}
	return out
}
