package attack

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/test/lab"
)

var everybody = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Frames need not be addressed as the packets in them are: packet(7).
func TestFrames(t *testing.T) {
	unspecified := netip.IPv4Unspecified()
	for _, a := range []struct {
		name string
		to   func(s *scene) net.HardwareAddr
		ip   func(s *scene) []byte
	}{
		{
			"UDP to the victim, in a frame to everybody", func(*scene) net.HardwareAddr { return everybody },
			func(s *scene) []byte { return udp4(s.attacker.V4, s.victim.V4) },
		},
		{
			// The kernel takes it for a broadcast: ip_route_input_slow.
			"UDP from 0.0.0.0 to 0.0.0.0", func(*scene) net.HardwareAddr { return everybody },
			func(*scene) []byte { return udp4(unspecified, unspecified) },
		},
		{
			"UDP to 255.255.255.255, in a frame to the victim", func(s *scene) net.HardwareAddr { return s.mac(s.victim, 1) },
			func(s *scene) []byte { return udp4(s.attacker.V4, netip.AddrFrom4([4]byte{255, 255, 255, 255})) },
		},
	} {
		t.Run(a.name, func(t *testing.T) {
			run(t, attack{
				name: a.name, by: withNetRaw, wirings: []lab.Wiring{lab.Bridged}, family: only4,
				try: func(s *scene) bool {
					heard := s.listen(s.victim, "udp4", ":9999")
					s.sendFrame(a.to(s), a.ip(s))
					return heard()
				},
			})
		})
	}
}

// sendFrame sends an IPv4 packet from the attacker's own hardware address.
func (s *scene) sendFrame(to net.HardwareAddr, packet []byte) {
	s.t.Helper()
	s.attack(func() error {
		link, err := net.InterfaceByName(lab.Inside(0))
		if err != nil {
			return err
		}
		const protocol = unix.ETH_P_IP<<8 | unix.ETH_P_IP>>8 // in network order
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		address := &unix.SockaddrLinklayer{Protocol: protocol & 0xffff, Ifindex: link.Index, Halen: 6}
		copy(address.Addr[:], to)
		return unix.Sendto(fd, packet, 0, address)
	})
}

// mac returns the hardware address of the i-th pod.
func (s *scene) mac(h lab.Host, i int) (address net.HardwareAddr) {
	s.t.Helper()
	s.in(h, func() error {
		link, err := net.InterfaceByName(lab.Inside(i))
		if err != nil {
			return err
		}
		address = link.HardwareAddr
		return nil
	})
	return address
}

// udp4 is a packet with the secret to port 9999: RFC 768, RFC 791.
func udp4(from, to netip.Addr) []byte {
	udp := []byte{0x27, 0x0f, 0x27, 0x0f, 0, byte(8 + len(secret)), 0, 0} // no checksum
	return ip4(from, to, unix.IPPROTO_UDP, append(udp, secret...))
}

// ip4 puts a header before a payload.
func ip4(from, to netip.Addr, protocol byte, payload []byte) []byte {
	p := make([]byte, 20, 20+len(payload))
	p[0] = 0x45
	binary.BigEndian.PutUint16(p[2:], uint16(20+len(payload)))
	p[8], p[9] = 64, protocol
	copy(p[12:], from.AsSlice())
	copy(p[16:], to.AsSlice())
	binary.BigEndian.PutUint16(p[10:], checksum(p))
	return append(p, payload...)
}

// checksum is the Internet's: RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := range b {
		sum += uint32(b[i]) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
