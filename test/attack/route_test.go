package attack

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

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

func acceptSourceRoutes() error {
	const settings = "/proc/sys/net/ipv4/conf/"
	links, err := os.ReadDir(settings)
	for _, link := range links {
		err = errors.Join(err, os.WriteFile(settings+link.Name()+"/accept_source_route", []byte("1"), 0))
	}
	return err
}
