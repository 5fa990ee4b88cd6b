package kernel

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// routeServers adds pods of this node to a snapshot, which are nothing but addresses that are routed to a pod's link.
func (l labNode) routeServers(t testing.TB, s *reach.Snapshot, pods int) (addresses []netip.Addr) {
	t.Helper()
	for i := range pods {
		h := lab.Host{Name: fmt.Sprintf("server-%d", i), Kind: lab.LocalPod}
		h.V4, h.V6 = lab.PodAddresses(0, lab.LocalPods+i)
		s.Pods = append(s.Pods, lab.Pod(h, "x", map[string]string{"app": "server"}))
		addresses = append(addresses, h.V4)
	}
	lab.Must(t, network.In(l.Node, func() error {
		return network.Route(lab.Outside(1), netip.PrefixFrom(addresses[0], 24).Masked(), netip.Addr{})
	}))
	return addresses
}

// Pods that try many ports of all servers of a node take a bounded part of what their ingress has recorded, and hide nobody
// else's first denial: neither another pod's, nor their own at another server. What is over the bound is counted.
func TestScannersOfManyServersHideNobodyElse(t *testing.T) {
	const servers, ports, most = 230, 25, 500
	l := newLab(t, lab.Routed)
	s := l.Shop()
	s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", "{podSelector: {}}")}
	addresses := l.routeServers(t, &s, servers)
	l.Load(t, s, 1)
	scanners := []lab.Host{l.Host("local-2"), l.Host("local-3"), l.Host("local-4"), l.Host("local-5")}
	for _, from := range scanners {
		scan(t, from, addresses, ports)
	}
	if l.Probe(t, []lab.Cell{{From: l.Host("local-0"), To: l.Host("local-1"), Protocol: corev1.ProtocolTCP, Port: 5432}}, idle)[0] {
		t.Error("another's connection passes")
	}
	k := openNode(t, l.Node).Kernel
	got, reading := l.seen(t, k)
	if got["Denied ingress Ingress: local-0 -> local-1 6 5432"] == 0 {
		t.Error("another's first denial is hidden")
	}
	var counted uint64
	for _, n := range got {
		counted += n
	}
	counts, err := nft.Counts(t.Context(), k)
	lab.Must(t, err)
	if all := counts["denied-ingress"]; counted+reading.Missed["ingress"] != all || reading.Missed["ingress"] == 0 || all < uint64(len(scanners)*servers*ports) {
		t.Errorf("%d are recorded and %d missed, of %d", counted, reading.Missed["ingress"], all)
	}
	for _, from := range scanners {
		all, at := 0, map[string]bool{}
		for key := range got {
			if rest, its := strings.CutPrefix(key, "Denied ingress Ingress: "+from.Name+" -> "); its {
				all++
				server, _, _ := strings.Cut(rest, " ")
				at[server] = true
			}
		}
		if all > most || len(at) < servers {
			t.Errorf("%s is recorded %d times, at %d of %d servers", from.Name, all, len(at), servers)
		}
	}
}
