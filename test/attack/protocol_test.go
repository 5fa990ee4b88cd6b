package attack

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// No policy can allow a protocol that has no ports, nor a packet that is part of no connection.
func TestProtocols(t *testing.T) {
	for _, a := range []struct {
		name     string
		protocol int
		header   []byte
	}{
		{"IGMP", unix.IPPROTO_IGMP, make([]byte, 8)},
		{"packets in packets", unix.IPPROTO_IPIP, nil},
		{"GRE", unix.IPPROTO_GRE, make([]byte, 4)},
		{"ESP", unix.IPPROTO_ESP, make([]byte, 8)},
		// Its ports are where those of TCP and UDP are, and 80 is allowed to others.
		{"UDP-Lite to an allowed port", unix.IPPROTO_UDPLITE, []byte{0, 80, 0, 80, 0, 8, 0, 0}},
		{"a protocol that nobody knows", 253, nil}, // for experiments: RFC 3692
		// All flags are off and the checksum is wrong: to conntrack it is invalid.
		{"a TCP segment that makes no sense", unix.IPPROTO_TCP, append([]byte{0, 80, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50}, make([]byte, 7)...)},
	} {
		t.Run(a.name, func(t *testing.T) {
			run(t, attack{
				name: a.name, by: withNetRaw,
				try: func(s *scene) bool {
					from, to := s.attacker.Address(s.v6), s.victim.Address(s.v6)
					heard := s.listen(s.victim, fmt.Sprintf("ip:%d", a.protocol), to.String())
					s.attack(func() error { return sendRaw(from, to, a.protocol, slices.Concat(a.header, secret)) })
					return heard()
				},
			})
		})
	}
}

// The ports are in the first fragment alone.
func TestFragments(t *testing.T) {
	run(t, attack{
		name: "UDP in fragments", by: withoutCapabilities,
		try: func(s *scene) bool {
			heard := s.listen(s.victim, "udp", ":9999")
			s.attack(func() error {
				return sendWith(s.attacker.Address(s.v6), s.victim.Address(s.v6), slices.Concat(secret, make([]byte, 4000)), nil)
			})
			return heard()
		},
	})
}

// Headers between that of IPv6 and that of UDP hide the ports from who looks at a fixed place.
func TestExtensionHeaders(t *testing.T) {
	padding := []byte{0, 0, 1, 4, 0, 0, 0, 0} // 4 bytes of it: RFC 8200, section 4.2
	for name, option := range map[string]int{"hop-by-hop": unix.IPV6_HOPOPTS, "destination": unix.IPV6_DSTOPTS} {
		t.Run(name, func(t *testing.T) {
			run(t, attack{
				name: "UDP behind " + name + " options", by: withNetRaw, family: only6,
				try: func(s *scene) bool {
					heard := s.listen(s.victim, "udp", ":9999")
					s.attack(func() error {
						return sendWith(s.attacker.V6, s.victim.V6, secret, func(fd int) error {
							return unix.SetsockoptString(fd, unix.IPPROTO_IPV6, option, string(padding))
						})
					})
					return heard()
				},
			})
		})
	}
}

// sendWith sends by UDP to port 9999, from a socket that may have options.
func sendWith(from, to netip.Addr, payload []byte, options func(fd int) error) error {
	domain := unix.AF_INET
	if to.Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if options != nil {
		err = options(fd)
	}
	return errors.Join(err, unix.Bind(fd, sockaddr(from, 0, 0)), unix.Sendto(fd, payload, 0, sockaddr(to, 9999, 0)))
}
