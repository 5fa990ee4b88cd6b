package prove

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/reach"
)

// Following ranges finds what comparing each address with each range does, of both families.
func TestCovering(t *testing.T) {
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		last := rapid.Byte().Draw(t, "last byte")
		if rapid.Bool().Draw(t, "IPv6") {
			return netip.AddrFrom16([16]byte{0: 0x20, 15: last})
		}
		return netip.AddrFrom4([4]byte{10, 0, 0, last})
	})
	rapid.Check(t, func(t *rapid.T) {
		var ranges []named
		for i := range rapid.IntRange(0, 8).Draw(t, "ranges") {
			ends := []netip.Addr{address.Draw(t, "one end"), address.Draw(t, "other end")}
			slices.SortFunc(ends, netip.Addr.Compare)
			ranges = append(ranges, named{
				span{ends[0], ends[1]}, fmt.Sprint(i), rapid.IntRange(0, 3).Draw(t, "peer"), false,
			})
			last := &ranges[i]
			last.isExcept = last.peer > 0 && rapid.Bool().Draw(t, "is left out")
		}
		addresses := rapid.SliceOf(address).Draw(t, "addresses")
		slices.SortFunc(addresses, netip.Addr.Compare)
		for range 2 { // as often as one likes
			i := 0
			for a, got := range covering(addresses, ranges) {
				var want []string
				for _, r := range ranges {
					isLeftOut := slices.ContainsFunc(ranges, func(e named) bool { return e.isExcept && e.peer == r.peer && e.holds(a) })
					if r.holds(a) && !isLeftOut {
						want = append(want, r.name)
					}
				}
				if a != addresses[i] || !slices.Equal(got, want) {
					t.Fatalf("%s, the address %d: got %v, want %v", a, i, got, want)
				}
				i++
			}
			if i != len(addresses) {
				t.Fatalf("went through %d of %d", i, len(addresses))
			}
		}
	})
}

func (s span) holds(a netip.Addr) bool { return s.first.Compare(a) <= 0 && a.Compare(s.last) <= 0 }

// A pod whose policy opens many blocks of addresses.
func BenchmarkManyBlocks(b *testing.B) {
	for _, blocks := range []int{1000, 10_000, 20_000} {
		b.Run(fmt.Sprint(blocks), func(b *testing.B) {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: "ns"},
				Spec:       corev1.PodSpec{NodeName: agenttest.Node},
				Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.244.0.7"}}},
			}
			snapshot := reach.Snapshot{
				Namespaces: []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}}, Pods: []*corev1.Pod{pod},
			}
			peer := networkingv1.NetworkPolicyPeer{}
			for i := range blocks { // twenty to a peer, as in the largest policies that budgets let pass
				block := fmt.Sprintf("20.%d.%d.0/24", i/256, i%256)
				if i%20 == 0 {
					peer = networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: fmt.Sprintf("20.%d.0.0/16", i/256)}}
				} else {
					peer.IPBlock.Except = append(peer.IPBlock.Except, block)
				}
				if i%20 != 19 {
					continue
				}
				if i%4000 == 19 {
					policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("blocks-", i), Namespace: "ns"}}
					policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
					snapshot.Policies = append(snapshot.Policies, policy)
				}
				rule := &snapshot.Policies[len(snapshot.Policies)-1].Spec.Ingress[0]
				rule.From = append(rule.From, peer)
			}
			table := compile.Compile(snapshot, agenttest.Node).Table(1)
			for b.Loop() {
				report, err := Table(context.Background(), table, compile.ForwardChain, snapshot, agenttest.Node)
				if err != nil || len(report.Differences) > 0 {
					b.Fatal(err, report.Differences)
				}
			}
		})
	}
}
