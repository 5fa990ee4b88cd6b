package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/controllers"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// What the cache leaves out of pods changes nothing about how policies are judged at admission.
func TestTrimmedPodsAreJudgedAlike(t *testing.T) {
	trim := podTransform(t)
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		world := lint.World{Whole: true, Known: lint.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}, Namespaces: s.Namespaces, Pods: s.Pods, Policies: s.Policies}
		trimmed := world
		trimmed.Pods = nil
		for _, pod := range s.Pods {
			pod.Spec.DNSPolicy = rapid.SampledFrom([]corev1.DNSPolicy{corev1.DNSClusterFirst, corev1.DNSDefault}).Draw(t, "dnsPolicy")
			out, err := trim(pod.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			trimmed.Pods = append(trimmed.Pods, out.(*corev1.Pod))
		}
		for _, policy := range s.Policies {
			if want, got := lint.NetworkPolicy(policy, world), lint.NetworkPolicy(policy, trimmed); !equality.Semantic.DeepEqual(want, got) {
				t.Fatalf("%+v\nall of the pods: %v\ntrimmed: %v", policy.Spec, want, got)
			}
		}
	})
}

func podTransform(t *testing.T) func(any) (any, error) {
	t.Helper()
	for object, options := range controllers.CacheOptions().ByObject {
		if _, isPod := object.(*corev1.Pod); isPod {
			return options.Transform
		}
	}
	t.Fatal("pods are kept as they are")
	return nil
}
