package kernel

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/conntrack"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// another is who enforces on the node: it drops what goes to two ports, of which our policies deny one, and notes what it
// thinks of each connection in the bits of the mark that an enforcer of ours would use.
const another = `table inet another
delete table inet another
table inet another {
	counter marked {}
	chain prerouting { type filter hook prerouting priority mangle; ct state new ct mark set 0xabcd0000; }
	chain forward { type filter hook forward priority filter; udp dport { 81, 82 } drop; }
	chain postrouting { type filter hook postrouting priority 300; meta l4proto udp ct mark 0xabcd0000 counter name marked; }
}
`

// Beside another that enforces, an enforcer that observes sees what its policies deny, whether or not the other drops it,
// and what staged ones would deny; and changes nothing.
func TestObservingBesideAnotherEnforcer(t *testing.T) {
	eachWiring(t, func(t *testing.T, l labNode) {
		l.NFT(t, another)
		ports := []uint16{80, 81, 82, 83}
		l.Listen(t, ports)
		s := l.Shop()
		s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, ingress: [{ports: [{port: 80, protocol: UDP}, {port: 82, protocol: UDP}]}]}`)}
		s.Staged = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, ingress: [{ports: [{port: 82, protocol: UDP}]}]}`)}
		k := openNode(t, l.Node)
		syncer := agent.Syncer{
			Node: lab.NodeName, Kernel: k, Log: logr.Discard(), Metrics: agent.NewMetrics(), Observe: true,
			Connections: insideOf{k}, Feed: func(c *compile.Compiler) { c.Tell(s) },
		}
		lab.Must(t, syncer.Sync(t.Context()))
		before, err := k.Revision(t.Context())
		lab.Must(t, err)
		lab.Must(t, syncer.Sync(t.Context()))
		verify(t, &syncer)
		if after, err := k.Revision(t.Context()); err != nil || after != before {
			t.Errorf("what has not changed is written again: %v", err)
		}

		var cells []lab.Cell
		for _, port := range ports {
			cells = append(cells, lab.Cell{From: l.Host("local-0"), To: l.Host("local-1"), Protocol: corev1.ProtocolUDP, Port: port})
		}
		for i, passed := range l.Probe(t, cells, 500*time.Millisecond) {
			if other := cells[i].Port == 81 || cells[i].Port == 82; passed == other {
				t.Errorf("%s passes: %v", cells[i], passed)
			}
		}
		got, _ := l.seen(t, k.Kernel)
		want := map[string]uint64{
			"WouldDeny Ingress: local-0 -> local-1 17 80":      1,
			"Denied ingress Ingress: local-0 -> local-1 17 81": 1,
			"Denied ingress Ingress: local-0 -> local-1 17 83": 1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		report, err := l.prove(t, s)
		lab.Must(t, err)
		if len(report.Differences) > 0 {
			t.Errorf("%v", report.Differences)
		}
		marked := openOther(t, l, "another")
		counts, err := nft.Counts(t.Context(), marked)
		lab.Must(t, err)
		if counts["marked"] != 4 { // two connections, both ways
			t.Errorf("%d packets have the other's mark", counts["marked"])
		}
	})
}

// insideOf are the connections of a node's kernel.
type insideOf struct{ *node }

// Clear is agent.Connections'.
func (k insideOf) Clear(ctx context.Context, mask uint32, stale func(uint32) bool) error {
	return network.In(k.ns, func() error { return conntrack.Table{}.Clear(ctx, mask, stale) })
}

// openOther opens another table of the node.
func openOther(t *testing.T, l labNode, name string) (kernel nft.Kernel) {
	t.Helper()
	lab.Must(t, network.In(l.Node, func() (err error) {
		kernel, err = nft.Open(compile.TableFamily, name)
		return err
	}))
	return kernel
}

// What was observed is enforced after a restart, and the other way round, with no stamp of before taken for one of now.
func TestFromObservingToEnforcing(t *testing.T) {
	l := newLab(t, lab.Routed)
	s := l.Shop()
	client, server := l.Host("local-0"), l.Host("local-1")
	k := openNode(t, l.Node)
	start := func(observe bool) {
		syncer := agent.Syncer{
			Node: lab.NodeName, Kernel: k, Log: logr.Discard(), Metrics: agent.NewMetrics(), Observe: observe, Connections: insideOf{k},
			Feed: func(c *compile.Compiler) { c.Tell(s) },
		}
		lab.Must(t, syncer.Sync(t.Context()))
		verify(t, &syncer)
	}
	start(false)
	c := l.dial(t, client, server, false, 80)
	if !sends(t, c.client, c.server, soon) {
		t.Fatal("what no policy is about does not pass")
	}
	s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, ingress: [{}]}`)}
	start(false) // and stamps it
	if !sends(t, c.client, c.server, soon) {
		t.Fatal("what a policy allows does not pass")
	}
	s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}}`)}
	start(true)
	if !sends(t, c.client, c.server, soon) {
		t.Error("observing drops packets")
	}
	start(false)
	if sends(t, c.client, c.server, idle) {
		t.Error("what was allowed before it was observed still passes")
	}
}
