package kernel

import (
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// IPv6 finds no neighbour without ICMPv6, which no policy can allow; on a bridge the node forwards
// it. The kernels of a new lab do not know each other yet.
func TestNeighbourDiscoveryPassesABridge(t *testing.T) {
	l := newLab(t, lab.Bridged)
	snapshot := l.Shop()
	snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p",
		`{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: 80}]}], egress: [{ports: [{port: 80}]}]}`)}
	l.Load(t, snapshot, 1)
	from, to := l.Hosts[0], l.Hosts[1]
	if !l.Probe(t, []lab.Cell{{From: from, To: to, V6: true, Protocol: "TCP", Port: 80}}, soon)[0] {
		t.Error("no neighbour found")
	}
	if l.Probe(t, []lab.Cell{{From: from, To: to, V6: true, Protocol: lab.ICMP}}, idle)[0] {
		t.Error("other ICMPv6 passes too")
	}
}

// What neighbour discovery may do on its link is no way out for an isolated pod.
func TestNeighbourDiscoveryIsNotRouted(t *testing.T) {
	l := newLab(t, lab.Routed)
	from, to := l.Hosts[0], l.Hosts[1]
	const neighbourSolicitation = 135
	send := func() bool {
		return arrives(t, from, to, append([]byte{neighbourSolicitation, 0, 0, 0}, make([]byte, 20)...))
	}
	snapshot := l.Shop()
	l.Load(t, snapshot, 1)
	if !send() {
		t.Fatal("what no policy isolates does not arrive")
	}
	snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, policyTypes: [Egress]}`)}
	l.Load(t, snapshot, 2)
	if send() {
		t.Error("a neighbour solicitation was routed out of an isolated pod")
	}
}

// arrives sends an ICMPv6 packet and tells whether one of its type arrives.
func arrives(t *testing.T, from, to lab.Host, packet []byte) bool {
	t.Helper()
	var receiver net.PacketConn
	lab.Must(t, network.In(to.NS, func() (err error) {
		receiver, err = net.ListenPacket(fmt.Sprintf("ip:%d", unix.IPPROTO_ICMPV6), to.V6.String())
		return err
	}))
	defer receiver.Close()
	lab.Must(t, network.In(from.NS, func() error {
		sender, err := lab.RawSocket(from.V6, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(sender) }()
		// As real neighbour discovery is sent: RFC 4861, section 4.3.
		if err := unix.SetsockoptInt(sender, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 255); err != nil {
			return err
		}
		return unix.Sendto(sender, packet, 0, lab.Sockaddr(to.V6, 0))
	}))
	lab.Must(t, receiver.SetReadDeadline(time.Now().Add(idle)))
	buf := make([]byte, 256)
	for {
		n, peer, err := receiver.ReadFrom(buf)
		if err != nil {
			return false
		}
		if n > 0 && buf[0] == packet[0] && peer.String() == from.V6.String() {
			return true
		}
	}
}
