package lint_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/lint"
)

// Admission judges a policy while someone waits: in a cluster of 200 namespaces, 5,000 pods and 1,000
// policies, one that concerns all of them.
func BenchmarkNetworkPolicy(b *testing.B) {
	d := drawSet(1)
	for i := range 200 {
		name := fmt.Sprintf("team-%d", i)
		d.world.Namespaces = append(d.world.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		for j := range 25 {
			d.pod(name, fmt.Sprintf("app-%d", j), map[string]string{"app": fmt.Sprintf("app-%d", j%5)}, 8080)
		}
		for j := range 5 {
			policy := d.add(fmt.Sprintf("app-%d", j), selector("app", fmt.Sprintf("app-%d", j)), networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
			policy.Namespace = name
			policy.Spec.Egress = append(policy.Spec.Egress, dnsRule())
		}
	}
	policy := d.add("wide", &metav1.LabelSelector{}, networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	everywhere := []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}}
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: everywhere, Ports: ports(8080)}}
	policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: everywhere, Ports: ports(8080)}}
	for b.Loop() {
		lint.NetworkPolicy(policy, d.world)
	}
}
