package reachtest_test

import (
	"testing"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// A generator whose policies and flows rarely meet would let properties hold for no reason.
func TestWhatIsGeneratedCollides(t *testing.T) {
	t.Parallel()
	const rounds = 3000
	snapshots := reachtest.Snapshot()
	count := map[string]int{}
	for seed := range rounds {
		s := snapshots.Example(seed)
		result := reach.Allowed(s, reachtest.Flow(s).Example(seed))
		count[string(result.Verdict)]++
		for _, d := range []reach.Decision{result.Egress, result.Ingress} {
			if len(d.Problems) > 0 {
				t.Fatalf("policies that the API server would refuse: %q", d.Problems)
			}
			switch {
			case d.AllowedBy == nil:
				continue
			case d.AllowedBy.Peer >= 0 && d.AllowedBy.Port >= 0:
				count["allowed by peer and port"]++
			case d.AllowedBy.Peer >= 0:
				count["allowed by peer"]++
			case d.AllowedBy.Port >= 0:
				count["allowed by port"]++
			}
			if len(d.Policies) > 1 {
				count["allowed among several policies"]++
			}
		}
	}
	t.Log(count)
	for _, event := range []string{
		"Allow", "Deny", "Unknown",
		"allowed by peer and port", "allowed by peer", "allowed by port", "allowed among several policies",
	} {
		if count[event] < rounds/150 {
			t.Errorf("%s: only %d times in %d", event, count[event], rounds)
		}
	}
}
