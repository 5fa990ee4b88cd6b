package attack

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/apptier/apptier/test/lab"
)

// Every pod has a link-local address, in clusters of IPv4 alone too, and no object says which.
func TestLinkLocalConnection(t *testing.T) {
	run(t, attack{
		name: "TCP to the victim's link-local address", by: withoutCapabilities, wirings: []lab.Wiring{lab.Bridged}, family: only6,
		policies: always(),
		try: func(s *scene) bool {
			defer s.serve(s.victim, "[::]:8080")()
			return s.steals(fmt.Sprintf("[%s%%%s]:8080", s.linkLocal(s.victim, 1), lab.Inside(0)))
		},
	})
}

// As a source, it is that of nobody who is isolated.
func TestLinkLocalSource(t *testing.T) {
	run(t, attack{
		name: "UDP from a link-local address to the victim's own", by: withoutCapabilities, wirings: []lab.Wiring{lab.Bridged}, family: only6,
		policies: always(),
		try: func(s *scene) bool {
			source := s.linkLocal(s.attacker, 0)
			heard := s.listen(s.victim, "udp6", "[::]:9999")
			s.attack(func() error { return sendUDP(source, s.victim.V6) })
			return heard()
		},
	})
}

// linkLocal returns the address that the i-th pod made itself.
func (s *scene) linkLocal(h lab.Host, i int) (found netip.Addr) {
	s.t.Helper()
	s.in(h, func() error {
		link, err := netlink.LinkByName(lab.Inside(i))
		if err != nil {
			return err
		}
		addresses, err := netlink.AddrList(link, netlink.FAMILY_V6)
		for _, a := range addresses {
			if a.IP.IsLinkLocalUnicast() {
				found, _ = netip.AddrFromSlice(a.IP)
			}
		}
		return err
	})
	if !found.IsValid() {
		s.t.Fatalf("%s has no link-local address", h.Name)
	}
	return found
}

// IPv4's link-local addresses are configured, by whoever has the capability to; frames reach them.
func TestLinkLocal4(t *testing.T) {
	to := netip.MustParseAddr("169.254.7.7")
	run(t, attack{
		name: "UDP to an IPv4 link-local address of the victim", by: withNetRaw, wirings: []lab.Wiring{lab.Bridged}, family: only4,
		given: func(s *scene) {
			s.in(s.victim, func() error {
				link, err := netlink.LinkByName(lab.Inside(1))
				if err != nil {
					return err
				}
				return netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: to.AsSlice(), Mask: net.CIDRMask(16, 32)}})
			})
		},
		// What the attacker may not send at all is another matter.
		policies: defaults()[:1],
		try: func(s *scene) bool {
			heard := s.listen(s.victim, "udp4", ":9999")
			s.sendFrame(s.mac(s.victim, 1), udp4(s.attacker.V4, to))
			return heard()
		},
	})
}
