package attack

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/test/lab"
)

// EtherTypes, and one for experiments: IEEE 802.
const (
	etherIPv4, etherIPv6, etherARP   = unix.ETH_P_IP, unix.ETH_P_IPV6, unix.ETH_P_ARP
	etherVLAN, etherService, etherNo = unix.ETH_P_8021Q, unix.ETH_P_8021AD, 0x88b5
)

// open is no policy at all: what is forged is dropped whoever is isolated.
var open = []policies{{}}

// etherType is that of the scene's family.
func (s *scene) etherType() uint16 {
	if s.v6 {
		return etherIPv6
	}
	return etherIPv4
}

// as is a packet for the victim with any source.
func (s *scene) as(source netip.Addr) []byte {
	return ipPacket(source, s.victim.Address(s.v6), experiment, secret)
}

func (s *scene) outsider() netip.Addr {
	if s.v6 {
		return netip.MustParseAddr("2001:db8:7::7")
	}
	return netip.MustParseAddr("198.51.100.77")
}

// What a pod sends carries its own address, or goes nowhere: whatever the kernel's own filter is set to.
func TestForgedSource(t *testing.T) {
	for _, filter := range []string{"0", "2"} {
		for name, source := range map[string]func(s *scene) netip.Addr{
			"a neighbour": func(s *scene) netip.Addr { return s.friend.Address(s.v6) },
			"the outside": (*scene).outsider,
		} {
			t.Run(name+", rp_filter "+filter, func(t *testing.T) {
				run(t, attack{
					name: "a packet from the address of " + name + ", rp_filter " + filter, by: withNetRaw, policies: open,
					given: func(s *scene) { s.reversePath(filter) },
					try: func(s *scene) bool {
						return s.delivers(frame(s.mac(s.attacker, 0), s.hop(), s.etherType(), s.as(source(s))))
					},
				})
			})
		}
	}
}

// reversePath sets how the node's kernel itself looks at sources: 1 would be strictly.
func (s *scene) reversePath(filter string) {
	s.in(lab.Host{NS: s.lab.Node}, func() error {
		all, err := os.ReadDir("/proc/sys/net/ipv4/conf")
		for _, link := range all {
			if err == nil {
				err = os.WriteFile("/proc/sys/net/ipv4/conf/"+link.Name()+"/rp_filter", []byte(filter), 0)
			}
		}
		return err
	})
}

// A packet that has the ports of another pod's connection is no part of it.
func TestForgedPacketOfAConnection(t *testing.T) {
	run(t, attack{
		name: "a packet of another pod's connection", by: withNetRaw,
		policies: []policies{{`{podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: c}}}], ports: [{protocol: UDP, port: 9999}]}]}`}},
		beside:   func(s *scene) bool { return s.connects(s.friend, s.lab.Host("node"), corev1.ProtocolTCP, 80) },
		try: func(s *scene) bool {
			from, to := netip.AddrPortFrom(s.friend.Address(s.v6), 8888), netip.AddrPortFrom(s.victim.Address(s.v6), 9999)
			heard := s.listen(s.victim, "udp", to.String())
			s.in(s.friend, func() error { // the connection is there, and stamped
				conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to))
				if err != nil {
					return err
				}
				defer conn.Close()
				_, err = conn.Write([]byte("hello"))
				return err
			})
			s.sends(frame(s.mac(s.attacker, 0), s.hop(), s.etherType(), datagram(from, to, secret)))
			return heard()
		},
	})
}

// Whoever answers for a neighbour gets the answers that are for the neighbour.
func TestIdentityTheft(t *testing.T) {
	for _, seen := range []string{"1", "0"} {
		t.Run("bridge-nf-call "+seen, func(t *testing.T) {
			run(t, attack{
				name: "a conversation in a neighbour's name, bridge-nf-call " + seen, by: withNetRaw, wirings: []lab.Wiring{lab.Bridged},
				given:    func(s *scene) { s.showBridges(seen) },
				policies: []policies{{`{podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: c}}}], ports: [{protocol: UDP, port: 9999}]}]}`}},
				beside:   func(s *scene) bool { return s.connects(s.friend, s.lab.Host("node"), corev1.ProtocolTCP, 80) },
				try:      (*scene).impersonates,
			})
		})
	}
}

// showBridges sets whether the rules of IP see what bridges pass on.
func (s *scene) showBridges(value string) {
	s.in(lab.Host{NS: s.lab.Node}, func() error {
		for _, name := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"} {
			if err := os.WriteFile("/proc/sys/net/bridge/"+name, []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// impersonates asks the victim as the friend, having said that the friend's address is here, and tells whether
// the answer came.
func (s *scene) impersonates() bool {
	s.t.Helper()
	own, hop := s.mac(s.attacker, 0), s.hop()
	friend, victim := s.friend.Address(s.v6), s.victim.Address(s.v6)
	at := netip.AddrPortFrom(victim, 9999)
	var server *net.UDPConn
	s.binds(s.victim, func() (err error) {
		server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	defer server.Close()
	go func() {
		buf := make([]byte, 64)
		for {
			_, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteToUDPAddrPort(secret, from)
		}
	}()
	here := frame(own, hop, etherARP, arpReply(own, friend, hop, victim))
	if s.v6 {
		here = frame(own, hop, etherIPv6, neighbourMessage(136, friend, victim, friend, own))
	}
	question := frame(own, hop, s.etherType(), datagram(netip.AddrPortFrom(friend, 8888), at, []byte("what is it?")))
	stolen := false
	s.attack(func() error {
		fd, err := packetSocket(lab.Inside(0))
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		whole := s.patience
		defer func() { s.patience = whole }()
		s.patience = whole / 5
		for range 5 { // what the victim knows of the friend is replaced when it is asked for again
			for _, f := range [][]byte{question, here, here} {
				if _, err := unix.Write(fd, f); err != nil {
					return err
				}
			}
			if stolen = s.receives(fd, secret); stolen {
				break
			}
		}
		return nil
	})
	return stolen
}

// forgeries are frames that get from one port of a bridge to another, and must not. Own and other are the MACs
// of the attacker and of the friend.
var forgeries = []struct {
	name   string
	family family
	frame  func(s *scene, own, other, to net.HardwareAddr) []byte
}{
	{"a neighbour's address and MAC", both, func(s *scene, _, other, to net.HardwareAddr) []byte {
		return frame(other, to, s.etherType(), s.as(s.friend.Address(s.v6)))
	}},
	{"its own address and a neighbour's MAC", both, func(s *scene, _, other, to net.HardwareAddr) []byte {
		return frame(other, to, s.etherType(), s.as(s.attacker.Address(s.v6)))
	}},
	{"its own address and nobody's MAC", both, func(s *scene, _, _, to net.HardwareAddr) []byte {
		return frame(net.HardwareAddr{2, 0, 0, 0, 0, 7}, to, s.etherType(), s.as(s.attacker.Address(s.v6)))
	}},
	{"the gateway's address", both, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, s.etherType(), s.as(s.lab.Gateway().Address(s.v6)))
	}},
	{"a frame with a priority tag (802.1Q, VLAN 0)", both, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, s.etherType(), s.as(s.attacker.Address(s.v6)), etherVLAN, 0)
	}},
	{"a frame with a VLAN tag (802.1Q, VLAN 5)", both, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, s.etherType(), s.as(s.attacker.Address(s.v6)), etherVLAN, 5)
	}},
	{"a frame with a service tag (802.1ad)", both, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, s.etherType(), s.as(s.attacker.Address(s.v6)), etherService, 0)
	}},
	{"a frame with two tags (802.1ad and 802.1Q)", both, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, s.etherType(), s.as(s.attacker.Address(s.v6)), etherService, 0, etherVLAN, 0)
	}},
	{"a frame of another protocol", only4, func(_ *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, etherNo, secret)
	}},
	{"ARP in a neighbour's name", only4, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, etherARP, arpReply(own, s.friend.V4, to, s.victim.V4))
	}},
	{"ARP in a neighbour's name from its MAC", only4, func(s *scene, own, other, to net.HardwareAddr) []byte {
		return frame(other, to, etherARP, arpReply(own, s.friend.V4, to, s.victim.V4))
	}},
	{"ARP that gives its own address to a neighbour's MAC", only4, func(s *scene, own, other, to net.HardwareAddr) []byte {
		return frame(own, to, etherARP, arpReply(other, s.attacker.V4, to, s.victim.V4))
	}},
	{"ARP in the gateway's name, to all", only4, func(s *scene, own, _, _ net.HardwareAddr) []byte {
		return frame(own, everybody, etherARP, arpReply(own, lab.Gateway4, everybody, lab.Gateway4))
	}},
	{"ARP with a tag", only4, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, etherARP, arpReply(own, s.friend.V4, to, s.victim.V4), etherVLAN, 0)
	}},
	{"an advertisement about a neighbour", only6, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, etherIPv6, neighbourMessage(136, s.attacker.V6, s.victim.V6, s.friend.V6, own))
	}},
	{"an advertisement as a neighbour", only6, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, etherIPv6, neighbourMessage(136, s.friend.V6, s.victim.V6, s.friend.V6, own))
	}},
	{"an advertisement about the gateway", only6, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, etherIPv6, neighbourMessage(136, s.attacker.V6, s.victim.V6, lab.Gateway6, own))
	}},
	{"a solicitation as a neighbour", only6, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, etherIPv6, neighbourMessage(135, s.friend.V6, s.victim.V6, s.victim.V6, own))
	}},
	{"a claim of the victim's own address", only6, func(s *scene, own, _, to net.HardwareAddr) []byte {
		return frame(own, to, etherIPv6, neighbourMessage(135, netip.IPv6Unspecified(), s.victim.V6, s.victim.V6, own))
	}},
}

// What a port of a bridge sends carries its pod's MAC and addresses, in a plain frame.
func TestForgedFrame(t *testing.T) {
	for i, f := range forgeries {
		t.Run(fmt.Sprintf("%02d %s", i, f.name), func(t *testing.T) {
			run(t, attack{
				name: f.name, by: withNetRaw, wirings: []lab.Wiring{lab.Bridged}, family: f.family, policies: open,
				try: func(s *scene) bool {
					return s.delivers(f.frame(s, s.mac(s.attacker, 0), s.mac(s.friend, 2), s.hop()))
				},
			})
		})
	}
}

// What may go to one host does not reach another that waits for it.
func TestAccomplice(t *testing.T) {
	run(t, attack{
		name: "a packet to the node in a frame to an accomplice", by: withNetRaw, wirings: []lab.Wiring{lab.Bridged},
		try: func(s *scene) bool {
			packet := datagram(netip.AddrPortFrom(s.attacker.Address(s.v6), 8888), netip.AddrPortFrom(s.lab.Host("node").Address(s.v6), 9999), secret)
			return s.delivers(frame(s.mac(s.attacker, 0), s.mac(s.victim, 1), s.etherType(), packet))
		},
	})
}

// Nor does what is for one pod, of a sender outside, when that pod says that it is behind the accomplice's MAC: neighbours
// believe the option, not the frame (RFC 4861, sections 4.1, 4.3 and 4.4).
func TestAddressBehindAnotherMAC(t *testing.T) {
	for name, message := range map[string]func(s *scene, other net.HardwareAddr) []byte{
		"an advertisement": func(s *scene, other net.HardwareAddr) []byte {
			return neighbourMessage(136, s.attacker.V6, lab.Gateway6, s.attacker.V6, other)
		},
		"a solicitation": func(s *scene, other net.HardwareAddr) []byte {
			return neighbourMessage(135, s.attacker.V6, lab.Gateway6, lab.Gateway6, other)
		},
		"an advertisement, in its second option": func(s *scene, other net.HardwareAddr) []byte {
			return neighbourMessage(136, s.attacker.V6, lab.Gateway6, s.attacker.V6, other, 2, 1, 0, 0, 0, 0, 0, 0)
		},
		"a router solicitation": func(s *scene, other net.HardwareAddr) []byte {
			return neighbourMessage(133, s.attacker.V6, lab.Gateway6, netip.Addr{}, other)
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, attack{
				name: "its own address at an accomplice's MAC, by " + name, by: withNetRaw, wirings: []lab.Wiring{lab.Bridged}, family: only6,
				policies: defaults()[:1],
				try: func(s *scene) bool {
					own, accomplice := s.mac(s.attacker, 0), s.mac(s.victim, 1)
					world := s.lab.Host("world-7")
					s.connects(world, s.attacker, corev1.ProtocolUDP, 80) // the node knows the neighbour
					s.sends(frame(own, macIn(s.t, s.lab.Node, lab.Bridge), etherIPv6, message(s, accomplice)))
					var fd int
					s.in(s.victim, func() (err error) {
						fd, err = packetSocket(lab.Inside(1))
						return err
					})
					defer func() { _ = unix.Close(fd) }()
					s.in(world, func() error { return sendWith(world.V6, s.attacker.V6, secret, nil) })
					return s.receives(fd, secret)
				},
			})
		})
	}
}
