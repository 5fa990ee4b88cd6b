package attack

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/apptier/apptier/test/lab"
	"github.com/apptier/apptier/test/network"
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
			s.attack(func() error { return s.throughTunnel(lab.Uplink4, s.victim.Address(s.v6)) })
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
			s.attack(func() error { return s.throughTunnel(lab.Other4, world.Address(s.v6)) })
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

// throughTunnel sends a datagram to port 9999 as a pod of a third node.
func (s *scene) throughTunnel(node, to netip.Addr) error {
	v4, v6 := lab.PodAddresses(2, 0)
	from := v4
	if s.v6 {
		from = v6
	}
	header := binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, tunnelNumber<<8)
	inside := datagram(netip.AddrPortFrom(from, 8888), netip.AddrPortFrom(to, 9999), secret)
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(node, tunnelPort)))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write(append(header, frame(net.HardwareAddr{2, 0, 0, 0, 0, 8}, tunnelMAC, s.etherType(), inside)...))
	return err
}
