package agent

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/flows"
)

// BenchmarkStart is a start from nothing, without the network and the kernel: from decoded objects to
// the steps of the first transaction. It reports what stays in memory.
func BenchmarkStart(b *testing.B) {
	for _, size := range []struct{ pods, policies int }{{1100, 100}, {5100, 1000}, {20_100, 5000}} {
		b.Run(fmt.Sprintf("%d pods, %d policies", size.pods, size.policies), func(b *testing.B) {
			var live float64
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				f := newStore("node-0", func() {}, time.Now)
				named := flows.New(flows.Options{Node: "node-0"}, time.Now())
				f.observe(named)
				fill(f, size.pods, size.policies)
				named.Follow()
				s := &Syncer{Node: "node-0", Kernel: taker{newFaulty()}, Feed: f.apply, Metrics: NewMetrics(), Log: logr.Discard()}
				if err := s.Sync(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				runtime.GC()
				runtime.ReadMemStats(&after)
				live = float64(after.HeapAlloc-before.HeapAlloc) / (1 << 20)
				runtime.KeepAlive(s)
				runtime.KeepAlive(f)
				b.StartTimer()
			}
			b.ReportMetric(live, "live-MiB")
		})
	}
}

// taker takes every transaction, and remembers nothing.
type taker struct{ *faulty }

// Run is nft.Kernel's.
func (taker) Run(context.Context, *knftables.Transaction) error { return nil }

// fill has a store see pods, the first hundred of them on its node, and policies: of each app one, which
// lets two others in. Ten apps share a namespace.
func fill(f *store, pods, policies int) {
	for i := range pods {
		app, node, address := i%policies, 1+i/100, fmt.Sprintf("10.%d.%d.%d", 1+i>>16, i>>8&255, i&255)
		if i < 100 {
			app, node = i*policies/100, 0
		}
		_ = f.pods.Add(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: fmt.Sprintf("team-%d", app/10), Name: fmt.Sprintf("pod-%d", i), UID: "5e1b6c2e-6c0a-4c27-a7c1-9d3d6cf7b4a1",
				Labels: map[string]string{"app": fmt.Sprintf("app-%d", app), "tier": []string{"front", "back"}[app%2]},
			},
			Spec: corev1.PodSpec{NodeName: fmt.Sprintf("node-%d", node), Containers: []corev1.Container{{
				Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
			}}},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}},
		})
	}
	label := func(key, value string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	udp, first := corev1.ProtocolUDP, intstr.FromInt32(8080)
	for i := range policies {
		second := intstr.FromInt(20_000 + i%1000)
		_ = f.policies.Add(&networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("team-%d", i/10), Name: fmt.Sprintf("policy-%d", i)},
			Spec: networkingv1.NetworkPolicySpec{
				PodSelector: *label("app", fmt.Sprintf("app-%d", i)),
				Ingress: []networkingv1.NetworkPolicyIngressRule{{
					From: []networkingv1.NetworkPolicyPeer{
						{PodSelector: label("app", fmt.Sprintf("app-%d", i-i%10+(i+1)%10))},
						{
							NamespaceSelector: label(corev1.LabelMetadataName, fmt.Sprintf("team-%d", (i/10+1)%(policies/10))),
							PodSelector:       label("tier", "front"),
						},
					},
					Ports: []networkingv1.NetworkPolicyPort{{Protocol: &udp, Port: &first}, {Port: &second}},
				}},
			},
		})
	}
}
