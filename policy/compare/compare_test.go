package compare_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

var (
	outside   = []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("192.168.0.10")}
	ports     = []int32{1, 52, 53, 54, 79, 80, 81, 82, 85, 8080, 8085, 9000, 65535}
	protocols = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
)

// What differs is found, all of it and nothing else: of every connection of pods and some addresses, at many ports.
func TestEveryDifferenceIsFound(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		before := reachtest.Snapshot(reachtest.OnlyRunning(), reachtest.MaxPods(6)).Draw(t, "before")
		if rapid.Bool().Draw(t, "no namespaces are known") {
			before.Namespaces = nil
		}
		before.UnknownLabels = map[types.NamespacedName][]string{}
		for _, pod := range before.Pods {
			if rapid.IntRange(0, 3).Draw(t, "has a label that only a cluster knows") == 3 {
				pod.Labels = maps.Clone(pod.Labels)
				delete(pod.Labels, "app")
				before.UnknownLabels[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}] = []string{"app"}
			}
		}
		before.PartialNamespaces = rapid.Bool().Draw(t, "there are more namespaces")
		after := before
		other := reachtest.Snapshot(reachtest.OnlyRunning(), reachtest.MaxPods(6)).Draw(t, "after")
		after.Policies = other.Policies
		if rapid.Bool().Draw(t, "labels change") {
			after.Pods = slices.Clone(after.Pods)
			changed := after.Pods[0].DeepCopy()
			changed.Labels = other.Pods[0].Labels
			after.Pods[0] = changed
		}
		result, err := compare.States(context.Background(), before, after, outside)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, c := range result.Changes {
			for _, from := range c.From {
				for _, to := range c.To {
					for _, port := range ports {
						if c.First <= port && port <= c.Last {
							got[fmt.Sprint(from, to, c.Protocol, port)] = fmt.Sprint(c.Opened)
						}
					}
				}
			}
		}
		found += len(result.Changes)
		old, now := reach.New(before), reach.New(after)
		ends := ends(after)
		for _, from := range ends {
			for _, to := range ends {
				if from == to || from.Pod == (types.NamespacedName{}) && to.Pod == (types.NamespacedName{}) {
					continue
				}
				for _, protocol := range protocols {
					for _, port := range ports {
						flow := reach.Flow{Source: from, Destination: to, Protocol: protocol, Port: port}
						a, b := old.Allowed(flow).Verdict, now.Allowed(flow).Verdict
						want := ""
						if a != b && a != reach.Unknown && b != reach.Unknown {
							want = fmt.Sprint(b == reach.Allow)
						}
						if key := fmt.Sprint(from, to, protocol, port); got[key] != want {
							t.Fatalf("%s: opened %q, want %q: %s, then %s", key, got[key], want, a, b)
						}
					}
				}
			}
		}
	})
	if found == 0 {
		t.Error("no difference in any world")
	}
}

func ends(s reach.Snapshot) []reach.Endpoint {
	var out []reach.Endpoint
	for _, pod := range s.Pods {
		if !pod.Spec.HostNetwork {
			out = append(out, reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}})
		}
	}
	for _, a := range outside { // the last is a node's
		out = append(out, reach.Endpoint{Address: a})
	}
	return out
}

// Other names and another order of the same policies are no difference.
func TestNamesAndOrderAreNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := reachtest.Snapshot().Draw(t, "snapshot")
		after := before
		after.Policies = nil
		for _, policy := range rapid.Permutation(before.Policies).Draw(t, "order") {
			renamed := policy.DeepCopy()
			renamed.Name = "renamed-" + renamed.Name
			after.Policies = append(after.Policies, renamed)
		}
		result, err := compare.States(context.Background(), before, after, outside)
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Changes) > 0 || result.Asked > 0 {
			t.Fatalf("%v, %d questions", result.Changes, result.Asked)
		}
	})
}
