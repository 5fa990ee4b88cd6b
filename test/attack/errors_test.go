package attack

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/test/lab"
)

// The kernel relates an ICMP error to the connection that it is about, whoever sends it, and it carries what
// the sender likes after that connection's header. It is judged as that connection is.
func TestErrorAboutACutConnection(t *testing.T) {
	const (
		cut     = 7777
		allowed = 80
		victim  = `{podSelector: {matchLabels: {app: b}}, policyTypes: [Egress], egress: [{ports: [{port: 80, protocol: UDP}]}]}`
		peer    = `{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{ports: [{port: 80, protocol: UDP}]}]}`
	)
	var sources sync.Map // of scenes
	run(t, attack{
		name: "ICMP error about a connection that was cut", by: withNetRaw, policies: []policies{{victim}, {peer}, {victim, peer}},
		given: func(s *scene) {
			s.lab.Listen(s.t, []uint16{cut})
			sources.Store(s, s.converse(s.victim, s.attacker, cut))
		},
		try: func(s *scene) bool {
			source, _ := sources.Load(s)
			return s.hearsError(unreachable, s.attacker, source.(uint16), cut)
		},
		beside: func(s *scene) bool {
			return s.hearsError(tooBig, s.attacker, s.converse(s.victim, s.attacker, allowed), allowed)
		},
	})
}

// An error about a connection that is allowed comes from its ends, or from routers between them. A pod has a
// connection with its node whatever its policies say.
func TestErrorAboutAConnectionOfOthers(t *testing.T) {
	const port = 7777
	var sources sync.Map // of scenes
	run(t, attack{
		name: "ICMP error about the victim's connection with the node", by: withNetRaw,
		given: func(s *scene) {
			s.lab.Listen(s.t, []uint16{port})
			sources.Store(s, s.converse(s.victim, s.lab.Host("node"), port))
		},
		try: func(s *scene) bool {
			source, _ := sources.Load(s)
			return s.hearsError(unreachable, s.lab.Host("node"), source.(uint16), port)
		},
	})
}

// converse has a host send to another's UDP port and get an answer, so that the kernel knows the connection,
// and returns the port that it sent from.
func (s *scene) converse(from, to lab.Host, port uint16) uint16 {
	s.t.Helper()
	var conn net.Conn
	s.in(from, func() (err error) {
		conn, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.Address(s.v6), 0)),
			net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.Address(s.v6), port)))
		return err
	})
	s.t.Cleanup(func() { _ = conn.Close() })
	_, err := conn.Write([]byte("?"))
	lab.Must(s.t, errors.Join(err, conn.SetReadDeadline(time.Now().Add(soon))))
	_, err = conn.Read(make([]byte, 1))
	lab.Must(s.t, err)
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// hearsError has the attacker send an error about a UDP packet from the victim to a host, and tells whether it
// arrives.
func (s *scene) hearsError(kind errorKind, to lab.Host, source, port uint16) bool {
	s.t.Helper()
	attacker, victim := s.attacker.Address(s.v6), s.victim.Address(s.v6)
	protocol, number := "ip4:icmp", unix.IPPROTO_ICMP
	if s.v6 {
		protocol, number = "ip6:ipv6-icmp", unix.IPPROTO_ICMPV6
	}
	heard := s.listen(s.victim, protocol, victim.String())
	s.attack(func() error {
		return sendRaw(attacker, victim, number, kind.about(victim, to.Address(s.v6), source, port))
	})
	return heard()
}

// errorKind is a kind of ICMP error: its type and code by either version.
type errorKind struct{ type4, code4, type6, code6 byte }

var (
	unreachable = errorKind{3, 3, 1, 4} // the port
	tooBig      = errorKind{3, 4, 2, 0} // the packet, which is not to be fragmented
)

// about is the error about a UDP packet, with the secret behind that packet's header: RFC 792, RFC 4443.
func (k errorKind) about(from, to netip.Addr, source, port uint16) []byte {
	const mtu = 1400
	udp := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, source), port)
	udp = append(binary.BigEndian.AppendUint16(udp, uint16(8+len(secret))), 0, 0)
	udp = append(udp, secret...)
	message := make([]byte, 8)
	if from.Is4() {
		message[0], message[1] = k.type4, k.code4
		binary.BigEndian.PutUint16(message[6:], mtu)
		message = append(message, ip4(from, to, unix.IPPROTO_UDP, udp)...)
		binary.BigEndian.PutUint16(message[2:], checksum(message))
		return message
	}
	message[0], message[1] = k.type6, k.code6 // the kernel adds the checksum
	if k == tooBig {
		binary.BigEndian.PutUint32(message[4:], mtu)
	}
	return append(message, ip6(from, to, unix.IPPROTO_UDP, udp)...)
}

// ip6 puts a header before a payload: RFC 8200.
func ip6(from, to netip.Addr, next byte, payload []byte) []byte {
	p := make([]byte, 40, 40+len(payload))
	p[0] = 0x60
	binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
	p[6], p[7] = next, 64
	copy(p[8:], from.AsSlice())
	copy(p[24:], to.AsSlice())
	return append(p, payload...)
}

// sendRaw sends a packet of any protocol.
func sendRaw(from, to netip.Addr, protocol int, payload []byte) error {
	fd, err := lab.RawSocket(from, protocol)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Sendto(fd, payload, 0, sockaddr(to, 0, 0))
}
