package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// Packets that are made by hand: a kernel may filter SCTP without speaking it, and nobody but the
// kernel speaks ICMP.

// ICMP is ICMP in an IPv4 cell and ICMPv6 in an IPv6 one. No policy can name it.
const ICMP corev1.Protocol = "ICMP"

// SCTP chunks: RFC 9260, section 3.2.
const (
	sctpInit  = 1
	sctpAbort = 6
)

// initiateTag is what an association's first packet asks the other end to send back.
const initiateTag = 1

// sctpPacket has one chunk: RFC 9260, sections 3.1 and 3.3.
func sctpPacket(from, to uint16, tag uint32, chunk byte, value []byte) []byte {
	p := make([]byte, 16, 16+len(value))
	binary.BigEndian.PutUint16(p[0:], from)
	binary.BigEndian.PutUint16(p[2:], to)
	binary.BigEndian.PutUint32(p[4:], tag)
	p[12] = chunk
	binary.BigEndian.PutUint16(p[14:], uint16(4+len(value)))
	p = append(p, value...)
	binary.LittleEndian.PutUint32(p[8:], crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	return p
}

// initPacket is the first packet of an association.
func initPacket(from, to uint16) []byte {
	value := binary.BigEndian.AppendUint32(nil, initiateTag)
	value = binary.BigEndian.AppendUint32(value, 65536) // receiver window
	value = binary.BigEndian.AppendUint16(value, 1)     // outbound streams
	value = binary.BigEndian.AppendUint16(value, 1)     // inbound streams
	return sctpPacket(from, to, 0, sctpInit, append(value, 0, 0, 0, 0))
}

// refuseSCTP answers the first packet of any association to the address with ABORT, as a kernel
// with SCTP does where nobody listens.
func refuseSCTP(t testing.TB, at netip.Addr) error {
	conn, err := net.ListenIP(fmt.Sprintf("ip:%d", unix.IPPROTO_SCTP), &net.IPAddr{IP: at.AsSlice()})
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 256)
		for {
			n, from, err := conn.ReadFromIP(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if p := buf[:n]; err == nil && n >= 20 && p[12] == sctpInit {
				client, server, tag := binary.BigEndian.Uint16(p[0:]), binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint32(p[16:])
				_, _ = conn.WriteToIP(sctpPacket(server, client, tag, sctpAbort, nil), from)
			}
		}
	}()
	return nil
}

// payload cuts the header off, which raw sockets show of IPv4 only: raw(7), ipv6(7).
func payload(at netip.Addr, packet []byte) []byte {
	if at.Is4() && len(packet) > 0 {
		return packet[min(len(packet), int(packet[0]&0xf)*4):]
	}
	return packet
}

// RawSocket sends and receives packets of a protocol without their IP header being made by hand.
func RawSocket(at netip.Addr, protocol int) (int, error) {
	domain := unix.AF_INET
	if at.Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, Sockaddr(at, 0))
}

func icmp(at netip.Addr) int {
	if at.Is4() {
		return unix.IPPROTO_ICMP
	}
	return unix.IPPROTO_ICMPV6
}

// startRaw sends the first packet of an SCTP association or an echo request, whose source port or
// identifier is number.
func startRaw(c Cell, number uint16) (int, error) {
	from, to := c.From.Address(c.V6), c.To.Address(c.V6)
	protocol, packet := unix.IPPROTO_SCTP, initPacket(number, c.Port)
	if c.Protocol == ICMP {
		protocol, packet = icmp(from), echoRequest(c.V6, number)
	}
	fd, err := RawSocket(from, protocol)
	if err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, Sockaddr(to, 0)); err != nil {
		return fd, err
	}
	_, err = unix.Write(fd, packet)
	return fd, ignore(err, unix.EPERM)
}

// Types of echo messages: RFC 792, RFC 4443.
const (
	echo4, echoReply4 = 8, 0
	echo6, echoReply6 = 128, 129
)

func echoRequest(v6 bool, identifier uint16) []byte {
	p := make([]byte, 8)
	binary.BigEndian.PutUint16(p[4:], identifier)
	if p[0] = echo6; v6 {
		return p // the kernel adds the checksum: RFC 3542, section 3.1
	}
	p[0] = echo4
	binary.BigEndian.PutUint16(p[2:], ^(echo4<<8 + identifier))
	return p
}

// answered reads what came for a raw cell, and tells whether its answer was among it: others'
// packets between the same ends come too.
func answered(fd int, c Cell, number uint16) bool {
	buf := make([]byte, 256)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return false
		}
		p := payload(c.From.Address(c.V6), buf[:n])
		switch {
		case len(p) < 8:
		case c.Protocol == ICMP:
			if isReply := p[0] == echoReply4 && !c.V6 || p[0] == echoReply6 && c.V6; isReply && binary.BigEndian.Uint16(p[4:]) == number {
				return true
			}
		case binary.BigEndian.Uint16(p[0:]) == c.Port && binary.BigEndian.Uint16(p[2:]) == number:
			return true
		}
	}
}
