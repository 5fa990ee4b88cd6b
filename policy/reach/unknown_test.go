package reach_test

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// Whatever value an unknown label has, the flow has the verdict that is given without it; where it is
// unknown, two values may differ.
func TestUnknownLabelsAreAnsweredForEveryValue(t *testing.T) {
	t.Parallel()
	decided := 0
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot(reachtest.OnlyRunning()).Draw(t, "snapshot")
		if len(s.Pods) == 0 {
			return
		}
		i := rapid.IntRange(0, len(s.Pods)-1).Draw(t, "pod")
		key := rapid.SampledFrom([]string{"app", "tier"}).Draw(t, "key")
		with := func(value string, unknown bool) reach.Snapshot {
			out := s
			out.Pods = append([]*corev1.Pod{}, s.Pods...)
			pod := s.Pods[i].DeepCopy()
			pod.Labels = maps.Clone(pod.Labels)
			delete(pod.Labels, key)
			if unknown {
				out.UnknownLabels = map[types.NamespacedName][]string{{Namespace: pod.Namespace, Name: pod.Name}: {key}}
			} else {
				pod.Labels = merged(pod.Labels, key, value)
			}
			out.Pods[i] = pod
			return out
		}
		flow := reachtest.Packet(s).Draw(t, "flow")
		got := reach.Allowed(with("", true), flow).Verdict
		for _, value := range []string{"web", "api", "front", "back", "another"} {
			want := reach.Allowed(with(value, false), flow).Verdict
			if got != reach.Unknown && want != got {
				t.Fatalf("%+v is %s, and with %s=%s %s", flow, got, key, value, want)
			}
		}
		if got != reach.Unknown {
			decided++
		}
	})
	if decided == 0 {
		t.Error("nothing was ever decided")
	}
}

func merged(set map[string]string, key, value string) map[string]string {
	out := maps.Clone(set)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}

func TestUnknownLabels(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "a", Labels: map[string]string{"app": "a"}}}
	other := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "b"}}
	policy := func(requirement metav1.LabelSelectorRequirement) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"},
			Spec:       networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement}}},
		}
	}
	for name, test := range map[string]struct {
		requirement metav1.LabelSelectorRequirement
		want        reach.Verdict
	}{
		"a value":          {metav1.LabelSelectorRequirement{Key: "hash", Operator: metav1.LabelSelectorOpIn, Values: []string{"x"}}, reach.Unknown},
		"another value":    {metav1.LabelSelectorRequirement{Key: "hash", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"x"}}, reach.Unknown},
		"that it is there": {metav1.LabelSelectorRequirement{Key: "hash", Operator: metav1.LabelSelectorOpExists}, reach.Deny},
		"that it is not":   {metav1.LabelSelectorRequirement{Key: "hash", Operator: metav1.LabelSelectorOpDoesNotExist}, reach.Allow},
		"another label":    {metav1.LabelSelectorRequirement{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"b"}}, reach.Allow},
	} {
		snapshot := reach.Snapshot{
			Pods: []*corev1.Pod{pod, other}, Policies: []*networkingv1.NetworkPolicy{policy(test.requirement)},
			UnknownLabels: map[types.NamespacedName][]string{{Namespace: "n", Name: "a"}: {"hash"}},
		}
		got := reach.Allowed(snapshot, reach.Flow{Source: endpointOf(other), Destination: endpointOf(pod), Port: 80})
		if got.Verdict != test.want {
			t.Errorf("%s decides: %s, want %s", name, got, test.want)
		}
	}
}
