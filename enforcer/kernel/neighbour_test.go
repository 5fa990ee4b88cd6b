package kernel

import (
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/test/network"
)

// IPv6 finds no neighbour without ICMPv6, which no policy can allow; on a bridge the node forwards
// it. The kernels of a new lab do not know each other yet.
func TestNeighbourDiscoveryPassesABridge(t *testing.T) {
	l := newBridgeLab(t)
	snapshot := l.shop()
	snapshot.Policies = []*networkingv1.NetworkPolicy{parsePolicy(t, "p",
		`{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: 80}]}], egress: [{ports: [{port: 80}]}]}`)}
	l.load(t, snapshot, 1)
	from, to := l.hosts[0], l.hosts[1]
	if !l.probe(t, []cell{{from: from, to: to, v6: true, protocol: "TCP", port: 80}}, soon)[0] {
		t.Error("no neighbour found")
	}
	if l.probe(t, []cell{{from: from, to: to, v6: true, protocol: protocolICMP}}, idle)[0] {
		t.Error("other ICMPv6 passes too")
	}
}

// What neighbour discovery may do on its link is no way out for an isolated pod.
func TestNeighbourDiscoveryIsNotRouted(t *testing.T) {
	l := newLab(t)
	from, to := l.hosts[0], l.hosts[1]
	const neighbourSolicitation = 135
	send := func() bool {
		return arrives(t, from, to, append([]byte{neighbourSolicitation, 0, 0, 0}, make([]byte, 20)...))
	}
	snapshot := l.shop()
	l.load(t, snapshot, 1)
	if !send() {
		t.Fatal("what no policy isolates does not arrive")
	}
	snapshot.Policies = []*networkingv1.NetworkPolicy{parsePolicy(t, "p", `{podSelector: {}, policyTypes: [Egress]}`)}
	l.load(t, snapshot, 2)
	if send() {
		t.Error("a neighbour solicitation was routed out of an isolated pod")
	}
}

// arrives sends an ICMPv6 packet and tells whether one of its type arrives.
func arrives(t *testing.T, from, to host, packet []byte) bool {
	t.Helper()
	var receiver net.PacketConn
	must(t, network.In(to.ns, func() (err error) {
		receiver, err = net.ListenPacket(fmt.Sprintf("ip:%d", unix.IPPROTO_ICMPV6), to.v6.String())
		return err
	}))
	defer receiver.Close()
	must(t, network.In(from.ns, func() error {
		sender, err := rawSocket(from.v6, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(sender) }()
		// As real neighbour discovery is sent: RFC 4861, section 4.3.
		if err := unix.SetsockoptInt(sender, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 255); err != nil {
			return err
		}
		return unix.Sendto(sender, packet, 0, sockaddr(to.v6, 0))
	}))
	must(t, receiver.SetReadDeadline(time.Now().Add(idle)))
	buf := make([]byte, 256)
	for {
		n, peer, err := receiver.ReadFrom(buf)
		if err != nil {
			return false
		}
		if n > 0 && buf[0] == packet[0] && peer.String() == from.v6.String() {
			return true
		}
	}
}
