package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// A packet that a pod sends has an address of that pod, or goes nowhere: whatever the node's rp_filter is.
// Without rules it arrives.
func TestAForgedSourceIsDropped(t *testing.T) {
	for _, filter := range []string{"0", "2"} {
		t.Run("rp_filter "+filter, func(t *testing.T) {
			l := newLab(t, lab.Routed)
			lab.Must(t, network.In(l.Node, func() error { return looseReversePath(filter) }))
			thief, victim := l.Host("local-0"), l.Host("local-1")
			forged := []lab.Host{l.Host("local-2"), l.Host("remote-0"), l.Host("world-7"), l.Host("node"), l.Gateway()}
			try := func(as lab.Host, v6 bool) bool {
				return l.sendsAs(t, thief, as.Address(v6), victim.Address(v6), victim)
			}
			for _, v6 := range []bool{false, true} {
				for _, as := range forged[:2] {
					if !try(as, v6) {
						t.Fatalf("without rules nothing arrives from %s as %s", thief.Name, as.Address(v6))
					}
				}
			}
			l.Load(t, l.Shop(), 1)
			for _, v6 := range []bool{false, true} {
				for _, as := range forged {
					if try(as, v6) {
						t.Errorf("%s sends as %s", thief.Name, as.Address(v6))
					}
				}
				if !try(thief, v6) {
					t.Errorf("%s does not send as itself, %s", thief.Name, thief.Address(v6))
				}
			}
			counts, err := nft.Counts(t.Context(), openNode(t, l.Node))
			lab.Must(t, err)
			if counts["denied-spoofed"] == 0 {
				t.Error("nothing was counted")
			}
		})
	}
}

// looseReversePath sets how the kernel itself looks at sources: 1 would be strictly.
func looseReversePath(value string) error {
	settings, err := os.ReadDir("/proc/sys/net/ipv4/conf")
	for _, link := range settings {
		err = errors.Join(err, os.WriteFile("/proc/sys/net/ipv4/conf/"+link.Name()+"/rp_filter", []byte(value), 0))
	}
	return err
}

// sendsAs sends a packet with any source, and tells whether it arrives.
func (l labNode) sendsAs(t *testing.T, from lab.Host, source, to netip.Addr, at lab.Host) bool {
	t.Helper()
	var receiver *net.UDPConn
	lab.Must(t, network.In(at.NS, func() (err error) {
		receiver, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 0)))
		return err
	}))
	defer receiver.Close()
	port := receiver.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	lab.Must(t, network.In(from.NS, func() error {
		domain, level, option := unix.AF_INET, unix.SOL_IP, unix.IP_TRANSPARENT
		if to.Is6() {
			domain, level, option = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_TRANSPARENT
		}
		fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		// A socket that may have an address that is not its host's: ip(7).
		if err := errors.Join(unix.SetsockoptInt(fd, level, option, 1), unix.Bind(fd, lab.Sockaddr(source, 0))); err != nil {
			return fmt.Errorf("as %s: %w", source, err)
		}
		return unix.Sendto(fd, []byte("forged"), 0, lab.Sockaddr(to, port))
	}))
	lab.Must(t, receiver.SetReadDeadline(time.Now().Add(idle)))
	_, _, err := receiver.ReadFromUDPAddrPort(make([]byte, 16))
	return err == nil
}
