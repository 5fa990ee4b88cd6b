package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/controllers"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// What the cache leaves out of pods changes nothing about how policies are judged at admission.
func TestTrimmedPodsAreJudgedAlike(t *testing.T) {
	trim := podTransform(t)
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		for _, namespace := range s.Namespaces {
			namespace.Labels = map[string]string{"istio.io/dataplane-mode": "ambient"} // where probes matter
		}
		known := world.World{Whole: true, Known: world.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}, Namespaces: s.Namespaces, Pods: s.Pods, Policies: s.Policies}
		trimmed := known
		trimmed.Pods = nil
		for _, pod := range s.Pods {
			pod.Spec.DNSPolicy = rapid.SampledFrom([]corev1.DNSPolicy{corev1.DNSClusterFirst, corev1.DNSDefault}).Draw(t, "dnsPolicy")
			if len(pod.Spec.Containers) == 0 {
				pod.Spec.Containers = []corev1.Container{{Name: "main"}}
			}
			pod.Spec.Containers[0].ReadinessProbe = probes().Draw(t, "probe")
			out, err := trim(pod.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			trimmed.Pods = append(trimmed.Pods, out.(*corev1.Pod))
		}
		for _, namespace := range s.Namespaces {
			app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "all"}, Spec: v1alpha1.AppTierSpec{Tiers: []v1alpha1.Tier{{
				Name:        "all",
				PodSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "none", Operator: metav1.LabelSelectorOpDoesNotExist}}},
			}}}}
			if want, got := lint.AppTierIn(app, known), lint.AppTierIn(app, trimmed); !equality.Semantic.DeepEqual(want, got) {
				t.Fatalf("AppTier of namespace %s\nall of the pods: %v\ntrimmed: %v", namespace.Name, want, got)
			}
		}
		for _, policy := range s.Policies {
			if want, got := lint.NetworkPolicy(policy, known), lint.NetworkPolicy(policy, trimmed); !equality.Semantic.DeepEqual(want, got) {
				t.Fatalf("%+v\nall of the pods: %v\ntrimmed: %v", policy.Spec, want, got)
			}
		}
	})
}

// probes are those that connect to a pod, and others.
func probes() *rapid.Generator[*corev1.Probe] {
	port := intstr.FromInt32(8080)
	return rapid.SampledFrom([]*corev1.Probe{
		nil,
		{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: port}}},
		{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: "example.com", Port: port}}},
		{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: port}}},
		{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 8081}}},
		{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}},
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

// Of staged policies, only those of AppTiers are kept whole: anyone may write others, as many and as large as they like.
func TestHandWrittenStagedPoliciesAreKeptSmall(t *testing.T) {
	spec := networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}}
	trim := func(owners ...metav1.OwnerReference) *v1alpha1.StagedNetworkPolicy {
		t.Helper()
		policy := &v1alpha1.StagedNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", OwnerReferences: owners}, Spec: *spec.DeepCopy()}
		policy.Annotations = map[string]string{"large": "text"}
		for object, options := range controllers.CacheOptions().ByObject {
			if _, isStaged := object.(*v1alpha1.StagedNetworkPolicy); isStaged {
				trimmed, err := options.Transform(policy)
				if err != nil {
					t.Fatal(err)
				}
				return trimmed.(*v1alpha1.StagedNetworkPolicy)
			}
		}
		t.Fatal("staged policies are kept as they are")
		return nil
	}
	if own := trim(metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AppTier", Name: "shop", Controller: ptr.To(true)}); !equality.Semantic.DeepEqual(own.Spec, spec) {
		t.Errorf("an AppTier's policy says %+v", own.Spec)
	}
	if other := trim(); other.Name != "p" || len(other.Annotations)+len(other.Spec.PolicyTypes) > 0 {
		t.Errorf("of another's is kept: %+v", other)
	}
}
