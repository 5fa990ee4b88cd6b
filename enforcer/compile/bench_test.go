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

const (
	podsOfANode  = 50
	appsOfASpace = 5
)

// cluster has this many pods, 50 on each node, in 100 namespaces with 5 policies each. Every policy
// lets one app of all namespaces in, so that sets grow with the cluster.
func cluster(pods int) reach.Snapshot {
	var s reach.Snapshot
	for i := range pods {
		s.Pods = append(s.Pods, member(i))
	}
	for i := range pods / podsOfANode {
		s.Nodes = append(s.Nodes, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i)},
			Spec:       corev1.NodeSpec{PodCIDRs: []string{fmt.Sprintf("10.%d.%d.0/24", 100+i/250, i%250)}},
		})
	}
	for i := range 500 {
		s.Policies = append(s.Policies, &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("ns-%d", i/appsOfASpace), Name: fmt.Sprintf("policy-%d", i)},
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

func app(n int) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprintf("app-%d", n%appsOfASpace)}}
}

// member is the i-th pod of a cluster.
func member(i int) *corev1.Pod {
	node := i / podsOfANode
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fmt.Sprintf("ns-%d", i%100), Name: fmt.Sprintf("pod-%d", i),
			Labels: app(i / 100).MatchLabels,
		},
		Spec: corev1.PodSpec{NodeName: fmt.Sprintf("node-%d", node)},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.%d.%d.%d", 100+node/250, node%250, i%podsOfANode+2),
		},
	}
}

var sizes = []int{1000, 20_000}

func BenchmarkCompile(b *testing.B) {
	for _, pods := range sizes {
		b.Run(fmt.Sprintf("%d pods", pods), func(b *testing.B) {
			s := cluster(pods)
			for b.Loop() {
				compile.Compile(s, "node-7")
			}
		})
	}
}

// One pod that comes or goes elsewhere, from the objects to the steps of the transaction.
func BenchmarkAPodElsewhere(b *testing.B) {
	for _, pods := range sizes {
		b.Run(fmt.Sprintf("%d pods", pods), func(b *testing.B) {
			with := cluster(pods)
			without := with
			without.Pods = with.Pods[:pods-1]
			tables := [2]nft.Table{}
			i, steps := 0, 0
			tables[0] = compile.Compile(without, "node-7").Table(1)
			for b.Loop() {
				now := with
				if i++; i%2 == 0 {
					now = without
				}
				tables[i%2] = compile.Compile(now, "node-7").Table(1)
				steps = len(nft.Diff(tables[1-i%2], tables[i%2]))
			}
			if steps != 1 {
				b.Fatalf("%d steps, want one element", steps)
			}
		})
	}
}
