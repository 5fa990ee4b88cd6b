package attack

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// Frames that are made by hand, as whoever has the capability NET_RAW can.

// frame puts a header of Ethernet before a packet, with tags (an EtherType and a number) between.
func frame(from, to net.HardwareAddr, kind uint16, packet []byte, tags ...uint16) []byte {
	f := append(append([]byte{}, to...), from...)
	for _, tag := range tags {
		f = binary.BigEndian.AppendUint16(f, tag)
	}
	return append(binary.BigEndian.AppendUint16(f, kind), packet...)
}

// ipPacket is a packet of either family: RFC 791, RFC 8200.
func ipPacket(from, to netip.Addr, protocol byte, body []byte) []byte {
	if from.Is4() {
		return ip4(from, to, protocol, body)
	}
	p := []byte{0x60, 0, 0, 0, 0, 0, protocol, 255}
	binary.BigEndian.PutUint16(p[4:], uint16(len(body)))
	p = append(append(p, from.AsSlice()...), to.AsSlice()...)
	return append(p, body...)
}

// experiment is a protocol for experiments (RFC 3692), which nobody answers.
const experiment = 253

// arpReply says that an address is behind a MAC: RFC 826.
func arpReply(mac net.HardwareAddr, address netip.Addr, toMAC net.HardwareAddr, to netip.Addr) []byte {
	p := []byte{0, 1, 8, 0, 6, 4, 0, 2}
	p = append(append(p, mac...), address.AsSlice()...)
	return append(append(p, toMAC...), to.AsSlice()...)
}

// neighbourMessage is a solicitation of routers (133) or neighbours (135), or an advertisement (136): RFC 4861, sections
// 4.1, 4.3 and 4.4. It may have options before the one with the MAC.
func neighbourMessage(kind byte, from, to, about netip.Addr, mac net.HardwareAddr, before ...byte) []byte {
	option := byte(1)
	body := []byte{kind, 0, 0, 0, 0, 0, 0, 0}
	if kind == 136 {
		option, body[4] = 2, 0x60 // solicited, and to be taken over what is known
	}
	body = slices.Concat(body, about.AsSlice(), before, []byte{option, 1}, mac)
	pseudo := append(append(from.AsSlice(), to.AsSlice()...), 0, 0, 0, byte(len(body)), 0, 0, 0, unix.IPPROTO_ICMPV6)
	binary.BigEndian.PutUint16(body[2:], checksum(append(pseudo, body...)))
	return ipPacket(from, to, unix.IPPROTO_ICMPV6, body)
}

// datagram is UDP of either family: RFC 768.
func datagram(from, to netip.AddrPort, body []byte) []byte {
	p := binary.BigEndian.AppendUint16(nil, from.Port())
	p = binary.BigEndian.AppendUint16(p, to.Port())
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(body)))
	p = append(append(p, 0, 0), body...)
	pseudo := append(append(from.Addr().AsSlice(), to.Addr().AsSlice()...), 0, unix.IPPROTO_UDP, 0, byte(len(p)))
	if len(pseudo)%2 == 1 {
		pseudo = append(pseudo, 0)
	}
	binary.BigEndian.PutUint16(p[6:], checksum(append(pseudo, p...)))
	return ipPacket(from.Addr(), to.Addr(), unix.IPPROTO_UDP, p)
}

// macIn is the MAC address of a link in a namespace.
func macIn(t testing.TB, ns netns.NsHandle, link string) (mac net.HardwareAddr) {
	t.Helper()
	lab.Must(t, network.In(ns, func() error {
		l, err := netlink.LinkByName(link)
		if err == nil {
			mac = l.Attrs().HardwareAddr
		}
		return err
	}))
	return mac
}

// hop is the MAC address by which the attacker reaches the victim.
func (s *scene) hop() net.HardwareAddr {
	if s.wiring.Name == lab.Routed.Name {
		return macIn(s.t, s.lab.Node, lab.Outside(0))
	}
	return macIn(s.t, s.victim.NS, lab.Inside(1))
}

// packetSocket sends and receives whole frames on a link: packet(7).
func packetSocket(link string) (fd int, err error) {
	l, err := net.InterfaceByName(link)
	if err != nil {
		return 0, err
	}
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: l.Index, Protocol: all})
}

// sends sends a frame from the attacker's link.
func (s *scene) sends(f []byte) {
	s.t.Helper()
	s.attack(func() error {
		fd, err := packetSocket(lab.Inside(0))
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		_, err = unix.Write(fd, f)
		return err
	})
}

// receives waits for what ends like this on a packet socket.
func (s *scene) receives(fd int, end []byte) bool {
	buf := make([]byte, 2048)
	for deadline := time.Now().Add(s.patience); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1); err != nil || n == 0 {
			continue
		}
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
		if err == nil && bytes.Contains(buf[:n], end) {
			return true
		}
	}
}

// delivers sends a frame as the attacker, and tells whether the victim's link gets it.
func (s *scene) delivers(f []byte) bool {
	s.t.Helper()
	var fd int
	s.in(s.victim, func() (err error) {
		fd, err = packetSocket(lab.Inside(1))
		return err
	})
	defer func() { _ = unix.Close(fd) }()
	s.sends(f)
	return s.receives(fd, f[len(f)-20:]) // tags are shown beside the frame
}
