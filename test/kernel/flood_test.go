package kernel

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// No packet of a connection that every ruleset allows is dropped while rulesets change, not even one
// that is being judged at that moment.
func TestAChangeDropsNoPacketHalfWay(t *testing.T) {
	const changes, flows = 1000, 32
	l := newLab(t, lab.Routed)
	client, server := l.Hosts[0], l.Hosts[1]
	one, two := l.Shop(), l.Shop()
	one.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, ingress: [{ports: [{port: 80, protocol: UDP}]}]}`)}
	two.Policies = append(two.Policies, one.Policies[0],
		lab.Policy(t, "q", `{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80, protocol: UDP}]}]}`))
	table := l.Load(t, one, 1)

	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	defer flood.Wait()
	defer stop()
	lab.Must(t, network.In(server.NS, func() error {
		listener, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server.V4, 80)))
		if err == nil {
			t.Cleanup(func() { _ = listener.Close() })
		}
		return err
	}))
	var conns []net.Conn
	lab.Must(t, network.In(client.NS, func() error {
		for range flows {
			conn, err := net.Dial("udp", netip.AddrPortFrom(server.V4, 80).String())
			if err != nil {
				return err
			}
			conns = append(conns, conn)
		}
		return nil
	}))
	flood.Go(func() {
		for ctx.Err() == nil {
			for _, conn := range conns {
				_, _ = conn.Write([]byte("x"))
			}
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	})

	lab.Must(t, network.In(l.Node, func() error {
		kernel, err := nft.Open(compile.TableFamily, compile.TableName)
		if err != nil {
			return err
		}
		for i := range changes {
			after := l.Table([]reach.Snapshot{two, one}[i%2], uint16(2+i))
			for _, phase := range nft.Phases(nft.Diff(table, after), 50) {
				if err := nft.Apply(t.Context(), kernel, phase); err != nil {
					return err
				}
			}
			table = after
		}
		dropped, err := nft.Counts(t.Context(), kernel)
		for name, count := range dropped {
			if count > 0 {
				t.Errorf("%d packets were dropped by %s", count, name)
			}
		}
		return err
	}))
}
