package attack

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/test/lab"
)

// What a router says to pods makes it their way out; what listeners say is for routers alone. The secret
// is in an option, for which nobody has a use: RFC 4861, section 4.6.
func TestDiscovery(t *testing.T) {
	for _, a := range []struct {
		name string
		kind byte
		size int // of the fixed part
		to   func(s *scene) netip.Addr
	}{
		{"router solicitation", 133, 8, toGroup},
		{"router advertisement", 134, 16, toGroup},
		{"router advertisement to the victim alone", 134, 16, toVictim},
		{"redirect", 137, 40, toVictim},
		{"multicast listener query", 130, 24, toGroup},
		{"multicast listener report", 143, 8, toGroup},
	} {
		t.Run(a.name, func(t *testing.T) {
			run(t, attack{
				name: "ICMPv6 " + a.name, by: withNetRaw, wirings: []lab.Wiring{lab.Bridged}, family: only6, policies: always(),
				try: func(s *scene) bool {
					heard := s.listen(s.victim, "ip6:ipv6-icmp", "::")
					to := a.to(s)
					option := append([]byte{253, byte((2 + len(secret) + 7) / 8)}, secret...)
					message := append(make([]byte, a.size), option...)
					message[0] = a.kind
					s.attack(func() error { return sendICMPv6(s.attacker.V6, to, append(message, 0, 0, 0, 0, 0, 0, 0)) })
					return heard()
				},
			})
		})
	}
}

func toGroup(*scene) netip.Addr    { return netip.MustParseAddr("ff02::1") }
func toVictim(s *scene) netip.Addr { return s.victim.V6 }

// sendICMPv6 sends a message as neighbour discovery is sent: with all of the hop limit.
func sendICMPv6(from, to netip.Addr, message []byte) error {
	fd, err := lab.RawSocket(from, unix.IPPROTO_ICMPV6)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for _, option := range []int{unix.IPV6_UNICAST_HOPS, unix.IPV6_MULTICAST_HOPS} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, option, 255); err != nil {
			return err
		}
	}
	link, err := linkIndex()
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, link); err != nil {
		return err
	}
	return unix.Sendto(fd, message, 0, sockaddr(to, 0, link))
}
