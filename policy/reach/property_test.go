package reach_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

func drawFlow(t *rapid.T, s reach.Snapshot) reach.Flow {
	return reachtest.Flow(s).Draw(t, "flow")
}

func TestWithoutPoliciesNothingIsDenied(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot(reachtest.MaxPolicies(0), reachtest.OnlyRunning()).Draw(t, "snapshot")
		flow := reachtest.Packet(s).Draw(t, "flow")
		if got := reach.Allowed(s, flow); got.Verdict != reach.Allow {
			t.Fatalf("%+v\n%s", flow, got)
		}
	})
}

// Without pods that have no address yet, nothing is unknown of a flow that can be sent.
func TestRunningPodsLeaveNothingUnknown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot(reachtest.OnlyRunning()).Draw(t, "snapshot")
		flow := reachtest.Packet(s).Draw(t, "flow")
		if got := reach.Allowed(s, flow); got.Verdict == reach.Unknown {
			t.Fatalf("%+v\n%s", flow, got)
		}
	})
}

// withOneMorePolicy draws a flow, and what is decided about it in each direction before and after one more
// policy has come.
func withOneMorePolicy(t *rapid.T) (flow reach.Flow, directions [2][2]reach.Decision) {
	s := reachtest.Snapshot().Draw(t, "snapshot")
	extra := reachtest.Policy("extra").Draw(t, "extra")
	flow = drawFlow(t, s)
	before := reach.Allowed(s, flow)
	s.Policies = append(s.Policies, extra)
	after := reach.Allowed(s, flow)
	return flow, [2][2]reach.Decision{{before.Egress, after.Egress}, {before.Ingress, after.Ingress}}
}

// Policies only ever add: where every end is isolated already, one more takes nothing away.
func TestOneMorePolicyTakesNothingFromIsolatedPods(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		flow, directions := withOneMorePolicy(t)
		for _, pair := range directions {
			if was, is := pair[0], pair[1]; was.Isolated && rank(is.Verdict) < rank(was.Verdict) {
				t.Fatalf("%+v\nbefore %+v\nafter  %+v", flow, was, is)
			}
		}
	})
}

func TestAPolicyConcernsOnlyThePodsThatItSelects(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		flow, directions := withOneMorePolicy(t)
		for _, pair := range directions {
			if len(pair[0].Policies) != len(pair[1].Policies) {
				continue
			}
			if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
				t.Fatalf("%+v\n%s", flow, diff)
			}
		}
	})
}

func TestOneMoreRuleNeverDenies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		flow := drawFlow(t, s)
		before := reach.Allowed(s, flow)
		for i, np := range s.Policies {
			np = np.DeepCopy()
			np.Spec.Ingress = append(np.Spec.Ingress, reachtest.IngressRule().Draw(t, "ingress rule"))
			if len(np.Spec.PolicyTypes) > 0 || len(np.Spec.Egress) > 0 {
				// Otherwise a first egress rule isolates for egress as well.
				np.Spec.Egress = append(np.Spec.Egress, reachtest.EgressRule().Draw(t, "egress rule"))
			}
			s.Policies[i] = np
		}
		if after := reach.Allowed(s, flow); rank(after.Verdict) < rank(before.Verdict) {
			t.Fatalf("%+v\nbefore %s\nafter  %s", flow, before, after)
		}
	})
}

// rank orders verdicts by how much they let through.
func rank(v reach.Verdict) int {
	return map[reach.Verdict]int{reach.Deny: 0, reach.Unknown: 1, reach.Allow: 2}[v]
}

func TestAPodsNameAndItsAddressMeanTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot(reachtest.OnlyRunning(), reachtest.OnlyPodNetwork()).Draw(t, "snapshot")
		byBoth := reachtest.Packet(s).Draw(t, "flow")
		byAddress := byBoth
		byAddress.Source.Pod, byAddress.Destination.Pod = types.NamespacedName{}, types.NamespacedName{}
		if diff := cmp.Diff(reach.Allowed(s, byBoth), reach.Allowed(s, byAddress)); diff != "" {
			t.Fatalf("%+v\n%s", byBoth, diff)
		}
	})
}

// A pod on its node's network and the bare address of that node are the same to every policy.
func TestAPodOnItsNodesNetworkIsTheNode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot(reachtest.OnlyRunning()).Draw(t, "snapshot")
		byBoth := reachtest.Packet(s).Draw(t, "flow")
		byAddress := byBoth
		byAddress.Source.Pod, byAddress.Destination.Pod = types.NamespacedName{}, types.NamespacedName{}
		if want, got := reach.Allowed(s, byBoth), reach.Allowed(s, byAddress); want.Verdict != got.Verdict {
			t.Fatalf("%+v\nby name: %s\nby address: %s", byBoth, want, got)
		}
	})
}

// A trace is evidence: what it names, and nothing else, lets the flow pass.
func TestAllowedByNamesARuleThatAllowsAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		flow := drawFlow(t, s)
		result := reach.Allowed(s, flow)
		for _, ref := range []*reach.RuleRef{result.Egress.AllowedBy, result.Ingress.AllowedBy} {
			if ref == nil {
				continue
			}
			alone := s
			alone.Policies = []*networkingv1.NetworkPolicy{only(t, s, *ref)}
			got := reach.Allowed(alone, flow)
			decision := got.Egress
			if ref.Direction == networkingv1.PolicyTypeIngress {
				decision = got.Ingress
			}
			if decision.AllowedBy == nil {
				t.Fatalf("%s does not allow %+v alone\n%s", ref, flow, got)
			}
		}
	})
}

// only returns the policy that a reference names with nothing in it but the part it names.
func only(t *rapid.T, s reach.Snapshot, ref reach.RuleRef) *networkingv1.NetworkPolicy {
	for _, np := range s.Policies {
		if np.Namespace != ref.Policy.Namespace || np.Name != ref.Policy.Name {
			continue
		}
		np = np.DeepCopy()
		np.Spec.PolicyTypes = []networkingv1.PolicyType{ref.Direction}
		if ref.Direction == networkingv1.PolicyTypeIngress {
			rule := np.Spec.Ingress[ref.Index]
			np.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: pick(rule.From, ref.Peer), Ports: pick(rule.Ports, ref.Port)}}
		} else {
			rule := np.Spec.Egress[ref.Index]
			np.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: pick(rule.To, ref.Peer), Ports: pick(rule.Ports, ref.Port)}}
		}
		return np
	}
	t.Fatalf("%s is not in the snapshot", ref)
	return nil
}

func pick[T any](list []T, i int) []T {
	if i < 0 {
		return list
	}
	return list[i : i+1]
}

func TestAHalfIsThatOfTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		flow := drawFlow(t, s)
		e := reach.New(s)
		whole := e.Allowed(flow)
		for direction, want := range map[networkingv1.PolicyType]reach.Decision{
			networkingv1.PolicyTypeEgress: whole.Egress, networkingv1.PolicyTypeIngress: whole.Ingress,
		} {
			if diff := cmp.Diff(want, e.Half(direction, flow)); diff != "" {
				t.Fatalf("%+v\n%s: %s", flow, direction, diff)
			}
		}
	})
}
