package attack

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// A packet that names the node, and behind it the victim, is one to the node for whoever judges it (RFC 791,
// section 3.1, loose source and record route). It takes nodes that are told to follow it.
func TestSourceRoute(t *testing.T) {
	run(t, attack{
		name: "UDP to the node, and on from there", by: withNetRaw, family: only4,
		given: func(s *scene) {
			for _, h := range []lab.Host{s.lab.Host("node"), s.victim} {
				s.in(h, acceptSourceRoutes)
			}
		},
		try: func(s *scene) bool {
			heard := s.listen(s.victim, "udp4", ":9999")
			hop := lab.Uplink4.As4()
			s.attack(func() error {
				return sendWith(s.attacker.V4, s.victim.V4, secret, func(fd int) error {
					return unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_OPTIONS, string([]byte{131, 7, 4, hop[0], hop[1], hop[2], hop[3], 0}))
				})
			})
			return heard()
		},
	})
}

// IPv6 has segment routing for that (RFC 8754), for which a sender needs no capability. Any of the node's addresses
// will do, and the next packets are of a connection that is known. What has a checksum of the addresses is invalid to
// conntrack, which takes the wrong one; other protocols, like SCTP, have none.
func TestSegmentRoute(t *testing.T) {
	for name, by := range map[string]func(s *scene) netip.Addr{
		"the node":                     func(*scene) netip.Addr { return lab.Uplink6 },
		"an address that nobody knows": func(*scene) netip.Addr { return netip.MustParseAddr("2001:db8:99::1") },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, attack{
				name: "UDP by a segment route, by " + name, by: withNetRaw, family: only6,
				given: func(s *scene) {
					for _, h := range []lab.Host{s.lab.Host("node"), s.victim} {
						s.in(h, acceptSegmentRoutes)
					}
					s.in(s.lab.Host("node"), func() error { return network.Configure("uplink", network.Single(by(s))) })
				},
				try: func(s *scene) bool {
					heard := s.listen(s.victim, fmt.Sprintf("ip6:%d", experiment), "::")
					s.attack(func() error { return sendBy(s.attacker.V6, s.victim.V6, by(s), 2) })
					return heard()
				},
			})
		})
	}
}

// sendBy sends packets on a way through a node.
func sendBy(from, to, by netip.Addr, packets int) error {
	fd, err := lab.RawSocket(from, experiment)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	hop := by.As16()
	// Two segments, of which the kernel writes the last.
	header := append([]byte{0, 4, 4, 1, 1, 0, 0, 0}, make([]byte, 16)...)
	err = unix.SetsockoptString(fd, unix.IPPROTO_IPV6, unix.IPV6_RTHDR, string(append(header, hop[:]...)))
	for range packets {
		err = errors.Join(err, unix.Sendto(fd, secret, 0, sockaddr(to, 0, 0)))
	}
	return err
}

func acceptSourceRoutes() error { return setAll("/proc/sys/net/ipv4/conf/", "accept_source_route") }

func acceptSegmentRoutes() error { return setAll("/proc/sys/net/ipv6/conf/", "seg6_enabled") }

// setAll turns a setting of all links on.
func setAll(settings, name string) error {
	links, err := os.ReadDir(settings)
	for _, link := range links {
		err = errors.Join(err, os.WriteFile(settings+link.Name()+"/"+name, []byte("1"), 0))
	}
	return err
}
