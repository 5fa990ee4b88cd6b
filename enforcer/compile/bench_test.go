package compile_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
)

// large is a cluster of 100 nodes with 50 pods each, in 100 namespaces with 5 policies each.
func large() reach.Snapshot {
	var s reach.Snapshot
	for i := range 5000 {
		s.Pods = append(s.Pods, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: fmt.Sprintf("ns-%d", i%100), Name: fmt.Sprintf("pod-%d", i),
				Labels: map[string]string{"app": fmt.Sprintf("app-%d", i/100%5)},
			},
			Spec:   corev1.PodSpec{NodeName: fmt.Sprintf("node-%d", i/50)},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.%d.%d.%d", 100+i/50/250, i/50%250, i%50+2)},
		})
	}
	for i := range 500 {
		app := func(n int) *metav1.LabelSelector {
			return &metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprintf("app-%d", n%5)}}
		}
		s.Policies = append(s.Policies, &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("ns-%d", i/5), Name: fmt.Sprintf("policy-%d", i)},
			Spec: networkingv1.NetworkPolicySpec{
				PodSelector: *app(i),
				Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
					{PodSelector: app(i + 1), NamespaceSelector: &metav1.LabelSelector{}},
				}}},
			},
		})
	}
	return s
}

func BenchmarkCompile(b *testing.B) {
	s := large()
	for b.Loop() {
		compile.Compile(s, "node-7")
	}
}

func BenchmarkDiffOfNothing(b *testing.B) {
	ruleset := compile.Compile(large(), "node-7")
	x, y := ruleset.Table(1), ruleset.Table(1)
	for b.Loop() {
		nft.Diff(x, y)
	}
}
