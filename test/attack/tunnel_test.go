package attack

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

const (
	tunnelPort   = 8472 // flannel's, and the kernel's own default
	tunnelNumber = 1
)

var tunnelMAC = net.HardwareAddr{2, 0, 0, 0, 0, 9}

// A node takes out of a tunnel what anybody has put into it, and forwards it: RFC 7348, section 7. What is inside has
// the address of a pod of another node.
func TestTunnel(t *testing.T) {
	run(t, attack{
		name: "UDP within VXLAN to the node", by: withoutCapabilities,
		given: func(s *scene) { s.tunnel(s.lab.Host("node")) },
		// It is neither the attacker's own packet nor one of a stranger.
		policies: []policies{defaults()[1], {`{podSelector: {matchLabels: {app: b}}, ingress: [{ports: [{port: 80}]}, {from: [{podSelector: {}}, {namespaceSelector: {}}]}]}`}},
		try: func(s *scene) bool {
			heard := s.listen(s.victim, "udp", ":9999")
			s.attack(func() error { return s.throughTunnel(lab.Uplink4, s.victim.Address(s.v6), 0) })
			return heard()
		},
	})
}

// From there it goes to the world as well as to other pods, and other nodes have tunnels too.
func TestTunnelOfAnotherNode(t *testing.T) {
	run(t, attack{
		name: "UDP within VXLAN to another node", by: withoutCapabilities,
		given: func(s *scene) {
			s.tunnel(s.lab.Host("node"))
			s.tunnel(s.lab.Host("other-node"))
		},
		policies: open,
		try: func(s *scene) bool {
			world := s.lab.Host("world-7")
			heard := s.listen(world, "udp", ":9999")
			s.attack(func() error { return s.throughTunnel(lab.Other4, world.Address(s.v6), 0) })
			return heard()
		},
	})
}

// Whoever sends from the port of a tunnel has its answers sent into that tunnel, and the answers of an allowed
// connection are allowed. An accomplice on the other node gets that node's address by masquerading. That node then takes
// the first answer for his, but forgets him sooner if the attacker answers once by packets that end on the way.
func TestAnswerIntoATunnel(t *testing.T) {
	const port = 7000
	run(t, attack{
		name: "UDP within VXLAN as an answer to another node", by: withoutCapabilities,
		given: func(s *scene) {
			s.tunnel(s.lab.Host("node"))
			s.tunnel(s.lab.Host("other-node"))
		},
		policies: []policies{{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{ports: [{port: 80}]}]}`}},
		try: func(s *scene) bool {
			world := s.lab.Host("world-7")
			heard := s.listen(world, "udp", ":9999")
			question := datagram(netip.AddrPortFrom(lab.Other4, tunnelPort), netip.AddrPortFrom(s.attacker.V4, port), []byte("?"))
			s.in(s.lab.Host("other-node"), func() error {
				return sendRaw(lab.Other4, s.attacker.V4, unix.IPPROTO_UDP, question[20:])
			})
			s.attack(func() error { return s.throughTunnel(lab.Other4, world.Address(s.v6), port) })
			return heard()
		},
	})
}

// What comes out of a tunnel is not for a tunnel: a pod of another node sends to the node's address among its pods.
func TestTunnelInATunnel(t *testing.T) {
	run(t, attack{
		name: "UDP within VXLAN to the node, from a pod of another node", by: withoutCapabilities,
		given:    func(s *scene) { s.tunnel(s.lab.Host("node")) },
		policies: []policies{defaults()[1]},
		try: func(s *scene) bool {
			v4, _ := lab.PodAddresses(2, 1)
			heard := s.listen(s.victim, "udp", ":9999")
			inside := s.inTunnel(s.victim.Address(s.v6))
			s.in(s.lab.Host("other-node"), func() error {
				// It was the pod's until its node put it into the tunnel.
				return send(lab.Uplink4, 0, inVXLAN(etherIPv4, datagram(netip.AddrPortFrom(v4, 8888), netip.AddrPortFrom(lab.Gateway4, tunnelPort), inside)))
			})
			return heard()
		},
	})
}

// tunnel gives a node a tunnel as flannel makes it, by which it reaches a range of other pods.
func (s *scene) tunnel(node lab.Host) {
	s.t.Helper()
	const name = "flannel.1"
	s.in(node, func() error {
		link := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: tunnelMAC}, VxlanId: tunnelNumber, Port: tunnelPort}
		if err := netlink.LinkAdd(link); err != nil {
			return err
		}
		return errors.Join(network.SetUp(name),
			network.Route(name, netip.MustParsePrefix("10.244.2.0/24"), netip.Addr{}),
			network.Route(name, netip.MustParsePrefix("fd00:10:244:2::/64"), netip.Addr{}))
	})
}

// throughTunnel sends a datagram to port 9999 as a pod of a third node, from a port of the attacker, or any if it is 0.
func (s *scene) throughTunnel(node, to netip.Addr, port uint16) error {
	return send(node, port, s.inTunnel(to))
}

// inTunnel is what goes to a node's tunnel.
func (s *scene) inTunnel(to netip.Addr) []byte {
	v4, v6 := lab.PodAddresses(2, 0)
	from := v4
	if s.v6 {
		from = v6
	}
	return inVXLAN(s.etherType(), datagram(netip.AddrPortFrom(from, 8888), netip.AddrPortFrom(to, 9999), secret))
}

// inVXLAN is RFC 7348, section 5.
func inVXLAN(kind uint16, packet []byte) []byte {
	header := binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, tunnelNumber<<8)
	return append(header, frame(net.HardwareAddr{2, 0, 0, 0, 0, 8}, tunnelMAC, kind, packet)...)
}

// send sends to the port of a node's tunnels.
func send(node netip.Addr, port uint16, payload []byte) error {
	conn, err := net.DialUDP("udp4", &net.UDPAddr{Port: int(port)}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(node, tunnelPort)))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write(payload)
	return err
}
