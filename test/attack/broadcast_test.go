package attack

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// A pod sends to everybody on its link without any capability: SO_BROADCAST needs none, see socket(7).
func TestBroadcast(t *testing.T) {
	for _, a := range []struct {
		name    string
		to      netip.Addr
		objects func(*scene, *reach.Snapshot)
	}{
		{"UDP to 255.255.255.255", netip.MustParseAddr("255.255.255.255"), nil},
		{"UDP to the broadcast address of the pods' range", netip.MustParseAddr("10.244.0.255"), nil},
		// Where the gate does not close what no pod has.
		{"UDP to the pods' broadcast address, without a range", netip.MustParseAddr("10.244.0.255"), withoutRanges},
	} {
		t.Run(a.name, func(t *testing.T) {
			run(t, attack{
				name: a.name, by: withoutCapabilities, wirings: []lab.Wiring{lab.Bridged}, family: only4, objects: a.objects,
				policies: always(),
				try: func(s *scene) bool {
					heard := s.listen(s.victim, "udp4", ":9999")
					s.attack(func() error { return sendUDP(s.attacker.V4, a.to) })
					return heard()
				},
			})
		})
	}
}

func withoutRanges(_ *scene, objects *reach.Snapshot) {
	for _, n := range objects.Nodes {
		n.Spec = corev1.NodeSpec{}
	}
}

// A pod joins a group without any capability too.
func TestMulticast(t *testing.T) {
	groups := map[bool]string{false: "224.0.0.251", true: "ff02::fb"}
	run(t, attack{
		name: "UDP to a group that the victim is in", by: withoutCapabilities, wirings: []lab.Wiring{lab.Bridged}, policies: always(),
		try: func(s *scene) bool {
			var conn *net.UDPConn
			s.binds(s.victim, func() error {
				link, err := net.InterfaceByName(lab.Inside(1))
				if err != nil {
					return err
				}
				conn, err = net.ListenMulticastUDP("udp", link, &net.UDPAddr{IP: net.ParseIP(groups[s.v6]), Port: 9999})
				return err
			})
			heard := s.hears(conn)
			s.attack(func() error { return sendUDP(s.attacker.Address(s.v6), netip.MustParseAddr(groups[s.v6])) })
			return heard()
		},
	})
}

// sendUDP sends the secret to port 9999; the source chooses the link.
func sendUDP(source, to netip.Addr) error {
	domain := unix.AF_INET
	if to.Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	link, err := linkIndex()
	if err != nil {
		return err
	}
	if to.Is6() {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, link)
	} else {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	}
	return errors.Join(err, unix.Bind(fd, sockaddr(source, 0, link)), unix.Sendto(fd, secret, 0, sockaddr(to, 9999, link)))
}

// linkIndex is the number of the attacker's link.
func linkIndex() (int, error) {
	link, err := net.InterfaceByName(lab.Inside(0))
	if err != nil {
		return 0, err
	}
	return link.Index, nil
}

// sockaddr is what bind and sendto want; link is for addresses that are good on one link alone.
func sockaddr(a netip.Addr, port, link int) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: port}
	}
	s := &unix.SockaddrInet6{Addr: a.As16(), Port: port}
	if a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() {
		s.ZoneId = uint32(link)
	}
	return s
}
