package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	networkingv1 "k8s.io/api/networking/v1"
)

// A kernel may filter SCTP without speaking it, so the packets are made by hand, and are seen to
// arrive rather than answered.
func TestSCTP(t *testing.T) {
	l := newLab(t)
	client, server := l.hosts[0], l.hosts[1]
	snapshot := l.shop()
	snapshot.Policies = []*networkingv1.NetworkPolicy{parsePolicy(t, "p",
		`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{protocol: SCTP, port: 7000, endPort: 7009}, {port: 7010}]}]}`)}
	l.load(t, snapshot, 1)
	for _, test := range []struct {
		port uint16
		want bool
	}{{7000, true}, {7009, true}, {6999, false}, {7010, false}} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("port %d, IPv6 %v", test.port, v6), func(t *testing.T) {
				patience := map[bool]time.Duration{true: soon, false: idle}[test.want]
				got := arrives(t, client, server, v6, initPacket(40000, test.port), patience)
				if got != test.want {
					t.Errorf("arrives: %v, want %v", got, test.want)
				}
			})
		}
	}
}

// arrives sends an SCTP packet from one host and tells whether the other gets one to this port.
func arrives(t *testing.T, from, to host, v6 bool, packet []byte, patience time.Duration) bool {
	t.Helper()
	var receiver int
	must(t, in(to.ns, func() (err error) { receiver, err = rawSocket(to.address(v6)); return err }))
	defer func() { _ = unix.Close(receiver) }()
	must(t, in(from.ns, func() error {
		sender, err := rawSocket(from.address(v6))
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(sender) }()
		return unix.Sendto(sender, packet, 0, sockaddr(to.address(v6), 0))
	}))
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	must(t, unix.SetsockoptTimeval(receiver, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	_, _, err := unix.Recvfrom(receiver, make([]byte, 256), 0)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	must(t, err)
	return true
}

// rawSocket sends and receives SCTP packets without their IP header being made by hand.
func rawSocket(at netip.Addr) (int, error) {
	domain := unix.AF_INET
	if at.Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, sockaddr(at, 0))
}

// initPacket is the first packet of an association: RFC 9260, sections 3.1 and 3.3.2.
func initPacket(from, to uint16) []byte {
	p := make([]byte, 12+20)
	binary.BigEndian.PutUint16(p[0:], from)
	binary.BigEndian.PutUint16(p[2:], to)
	p[12] = 1                                 // chunk INIT
	binary.BigEndian.PutUint16(p[14:], 20)    // its length
	binary.BigEndian.PutUint32(p[16:], 1)     // initiate tag
	binary.BigEndian.PutUint32(p[20:], 65536) // receiver window
	binary.BigEndian.PutUint16(p[24:], 1)     // outbound streams
	binary.BigEndian.PutUint16(p[26:], 1)     // inbound streams
	binary.LittleEndian.PutUint32(p[8:], crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	return p
}
