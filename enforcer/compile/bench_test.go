package compile_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/prove"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/reach"
)

const (
	podsOfANode      = 50
	appsOfANamespace = 5
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
			ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("ns-%d", i/appsOfANamespace), Name: fmt.Sprintf("policy-%d", i)},
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
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprintf("app-%d", n%appsOfANamespace)}}
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

var sizes = []int{1000, 5000, 20_000}

// From nothing to the whole table.
func BenchmarkCompile(b *testing.B) {
	for _, pods := range sizes {
		b.Run(fmt.Sprintf("%d pods", pods), func(b *testing.B) {
			s := cluster(pods)
			for b.Loop() {
				compile.Compile(s, "node-7").Table(1)
			}
		})
	}
}

// One pod that comes or goes elsewhere, from the object to the steps of the transaction.
func BenchmarkAPodElsewhere(b *testing.B) {
	benchmarkChange(b, func(c *compile.Compiler, s reach.Snapshot, i int) {
		if last := s.Pods[len(s.Pods)-1]; i%2 == 0 {
			c.DeletePod(last.Namespace, last.Name)
		} else {
			c.SetPod(last)
		}
	})
}

// One pod of this node that comes or goes.
func BenchmarkAPodOfThisNode(b *testing.B) {
	local := member(7 * podsOfANode)
	benchmarkChange(b, func(c *compile.Compiler, _ reach.Snapshot, i int) {
		if i%2 == 0 {
			c.DeletePod(local.Namespace, local.Name)
		} else {
			c.SetPod(local)
		}
	})
}

// One policy of a pod of this node whose rules change.
func BenchmarkAPolicy(b *testing.B) {
	policy := cluster(0).Policies[appsOfANamespace*(7*podsOfANode%100)+7*podsOfANode/100%appsOfANamespace]
	open := policy.DeepCopy()
	open.Spec.Ingress = append(open.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
	benchmarkChange(b, func(c *compile.Compiler, _ reach.Snapshot, i int) {
		c.SetPolicy([]*networkingv1.NetworkPolicy{open, policy}[i%2])
	})
}

// One of a thousand policies of one pod, each with two peers and two ports, whose peers change, and one
// that comes or goes.
func BenchmarkACrowdedPod(b *testing.B) {
	const policies = 1000
	s := cluster(5000)
	s.Policies = nil
	for i := range policies {
		s.Policies = append(s.Policies, crowding(i, i))
	}
	for name, change := range map[string]func(c *compile.Compiler, i int){
		"peers change": func(c *compile.Compiler, i int) { c.SetPolicy(crowding(0, 1+i%2)) },
		"comes or goes": func(c *compile.Compiler, i int) {
			if i%2 == 0 {
				c.DeletePolicy("ns-50", "policy-0")
			} else {
				c.SetPolicy(s.Policies[0])
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			c := compile.New("node-7")
			limits := budget.Defaults()
			limits.Namespace.Peers = 2 * policies
			c.Limit(limits)
			c.Tell(s)
			c.Tracker().Commit()
			steps := 0
			for i := 0; b.Loop(); i++ {
				change(c, i)
				steps = len(c.Tracker().Steps())
				c.Tracker().Commit()
			}
			b.ReportMetric(float64(steps), "steps")
		})
	}
}

// crowding is the n-th policy of the pod of node-7 in the namespace ns-50, for the pods of two namespaces.
func crowding(n, from int) *networkingv1.NetworkPolicy {
	of := func(i int) networkingv1.NetworkPolicyPeer {
		return networkingv1.NetworkPolicyPeer{
			PodSelector:       app(i),
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: fmt.Sprintf("ns-%d", i%100)}},
		}
	}
	udp, shared, own := corev1.ProtocolUDP, intstr.FromInt32(8080), intstr.FromInt(20_000+n)
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns-50", Name: fmt.Sprintf("policy-%d", n)},
		Spec: networkingv1.NetworkPolicySpec{
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  []networkingv1.NetworkPolicyPeer{of(from), of(from + 7)},
				Ports: []networkingv1.NetworkPolicyPort{{Protocol: &udp, Port: &shared}, {Port: &own}},
			}},
		},
	}
}

func benchmarkChange(b *testing.B, change func(*compile.Compiler, reach.Snapshot, int)) {
	for _, pods := range sizes {
		b.Run(fmt.Sprintf("%d pods", pods), func(b *testing.B) {
			s := cluster(pods)
			c := compile.New("node-7")
			c.Tell(s)
			c.Tracker().Commit()
			for i := 0; b.Loop(); i++ {
				change(c, s, i)
				if steps := len(c.Tracker().Steps()); steps == 0 {
					b.Fatal("nothing changed")
				}
				c.Tracker().Commit()
			}
		})
	}
}

// To compare the ruleset with the policies, connection by connection.
func BenchmarkAProof(b *testing.B) {
	for _, pods := range sizes {
		b.Run(fmt.Sprintf("%d_pods", pods), func(b *testing.B) {
			s := cluster(pods)
			table := compile.Compile(s, "node-0").Table(1)
			for b.Loop() {
				report, err := prove.Table(b.Context(), table, compile.ForwardChain, s, "node-0")
				if err != nil || len(report.Differences) > 0 {
					b.Fatal(err, report)
				}
				b.ReportMetric(float64(report.Connections), "questions")
			}
		})
	}
}
