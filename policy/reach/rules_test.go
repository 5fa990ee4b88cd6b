package reach_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// Whatever the labels of a namespace are that a snapshot lacks: the answer without them is the same as
// with them, or that it is not known.
func TestLabelsThatAreNotKnownAreNotGuessed(t *testing.T) {
	t.Parallel()
	verdicts := map[reach.Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot(reachtest.OnlyRunning()).Draw(t, "snapshot")
		less := s
		less.PartialNamespaces = true
		less.Namespaces = slices.DeleteFunc(slices.Clone(s.Namespaces), func(*corev1.Namespace) bool { return rapid.Bool().Draw(t, "lost") })
		whole, partial := reach.New(s), reach.New(less)
		for _, source := range s.Pods {
			for _, destination := range s.Pods {
				flow := reach.Flow{Source: endpointOf(source), Destination: endpointOf(destination), Port: 80}
				want, got := whole.Allowed(flow).Verdict, partial.Allowed(flow).Verdict
				if got != want && got != reach.Unknown {
					t.Fatalf("%+v\nwith %d of %d namespaces: %s, with all: %s", flow, len(less.Namespaces), len(s.Namespaces), got, want)
				}
				if got != want {
					verdicts[got]++
				}
			}
		}
	})
	if verdicts[reach.Unknown] == 0 && !testing.Short() { // with -short, there are too few draws to ask
		t.Error("no label that decides was ever lost: that shows nothing")
	}
}

func endpointOf(pod *corev1.Pod) reach.Endpoint {
	return reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}}
}

// Of an isolated pod, the rules say the same as the decision that is made of them.
func TestRulesMakeTheDecision(t *testing.T) {
	t.Parallel()
	var allowed, denied int
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		flow := drawFlow(t, s)
		evaluator := reach.New(s)
		result := evaluator.Allowed(flow)
		egress, ingress := evaluator.Rules(flow)
		for _, half := range []struct {
			decision reach.Decision
			rules    []reach.RuleVerdict
		}{{result.Egress, egress}, {result.Ingress, ingress}} {
			i := slices.IndexFunc(half.rules, func(r reach.RuleVerdict) bool { return r.Ports && r.Peers == reach.Allow })
			by := half.decision.AllowedBy
			switch {
			case by != nil && (i < 0 || half.rules[i].Policy != by.Policy || half.rules[i].Index != by.Index || half.rules[i].Direction != by.Direction):
				t.Fatalf("%+v is allowed by %s, but the rules are %+v", flow, by, half.rules)
			case half.decision.Verdict == reach.Deny && i >= 0:
				t.Fatalf("%+v is denied, but allowed by %+v", flow, half.rules[i])
			case by != nil:
				allowed++
			case half.decision.Verdict == reach.Deny && len(half.rules) > 0:
				denied++
			}
		}
	})
	if !testing.Short() && (allowed == 0 || denied == 0) {
		t.Errorf("%d were allowed and %d denied by rules: that shows little", allowed, denied)
	}
}
