package compile_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/reach"
)

// A pod that two peers of a merged set select stays in it until neither does, also if the set was merged
// of one of them at first.
func TestAMergedSetKeepsWhatAnotherPeerSelects(t *testing.T) {
	pod := func(name, address string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": name, "tier": "front"}},
			Spec:       corev1.PodSpec{NodeName: agenttest.Node},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address},
		}
	}
	allowing := func(peers ...map[string]string) *networkingv1.NetworkPolicy {
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
		p.Spec.PodSelector.MatchLabels = map[string]string{"app": "server"}
		p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
		for _, labels := range peers {
			p.Spec.Ingress[0].From = append(p.Spec.Ingress[0].From, networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: labels}})
		}
		return p
	}
	byApp, byTier := map[string]string{"app": "client"}, map[string]string{"tier": "front"}
	c := compile.New(agenttest.Node)
	c.MergeAbove(0)
	s := reach.Snapshot{Pods: []*corev1.Pod{pod("server", "10.244.0.2"), pod("client", "10.244.0.3")}}
	c.Tell(s)
	for _, peers := range [][]map[string]string{{byApp}, {byApp, byTier}, {byApp}, {byTier}, {byTier, byApp}, {byTier}} {
		s.Policies = []*networkingv1.NetworkPolicy{allowing(peers...)}
		c.SetPolicy(s.Policies[0])
		fresh := compile.New(agenttest.Node)
		fresh.MergeAbove(0)
		fresh.Tell(s)
		compare(t, fresh.Ruleset(), c.Ruleset())
	}
}
