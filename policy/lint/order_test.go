package lint_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/lint/world/worldtest"
)

// The order in which a cluster's objects are read decides nothing, not even which of them a finding names.
func TestTheOrderOfObjectsDecidesNothing(t *testing.T) {
	found := map[check.ID]int{}
	property := func(t *rapid.T) {
		v, w := worldtest.Draw(t)
		w.Services = drawServices(t, w)
		judged := v.Policy.DeepCopy()
		if rapid.Bool().Draw(t, "resolves names only") {
			port := networkingv1.NetworkPolicyPort{Protocol: ptr.To(corev1.ProtocolUDP), Port: ptr.To(intstr.FromInt32(53))}
			judged.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
			judged.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: []networkingv1.NetworkPolicyPort{port}}}
		}
		other := w
		other.Namespaces = rapid.Permutation(slices.Clone(w.Namespaces)).Draw(t, "namespaces")
		other.Pods = rapid.Permutation(slices.Clone(w.Pods)).Draw(t, "pods")
		other.Services = rapid.Permutation(slices.Clone(w.Services)).Draw(t, "services")
		other.Policies = rapid.Permutation(slices.Clone(w.Policies)).Draw(t, "policies")
		other.Generated = rapid.Permutation(slices.Clone(w.Generated)).Draw(t, "generated")
		want, got := lint.NetworkPolicy(judged, w), lint.NetworkPolicy(judged, other)
		if !equality.Semantic.DeepEqual(want, got) {
			t.Fatalf("one order:     %v\nanother order: %v", want, got)
		}
		for _, finding := range want {
			found[finding.Check]++
		}
	}
	for range 3 { // some need several objects to meet
		rapid.Check(t, property)
	}
	t.Logf("found: %v", found)
	if found[netpol.DNSPort] == 0 {
		t.Errorf("%s was never found: the comparison shows nothing about it", netpol.DNSPort)
	}
}

// drawServices returns Services that lead to pods of a world, of which some are the cluster's DNS.
func drawServices(t *rapid.T, w world.World) []*corev1.Service {
	var services []*corev1.Service
	for i := range rapid.IntRange(0, 4).Draw(t, "services") {
		if len(w.Pods) == 0 {
			break
		}
		pod := rapid.SampledFrom(w.Pods).Draw(t, "behind")
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: fmt.Sprint("service-", i)}}
		service.Spec.Selector = pod.Labels
		service.Spec.Ports = []corev1.ServicePort{{Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(rapid.Int32Range(5353, 5354).Draw(t, "target"))}}
		if rapid.Bool().Draw(t, "is DNS") {
			service.Labels = map[string]string{"k8s-app": "kube-dns"}
		}
		services = append(services, service)
	}
	return services
}
