package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/internal/testenv/network"
)

// Cell is one connection to try. ICMP has no port.
type Cell struct {
	From, To Host
	V6       bool
	Protocol corev1.Protocol
	Port     uint16
}

func (c Cell) String() string {
	return fmt.Sprintf("%s %s -> %s %s %d", c.From.Name, c.From.Address(c.V6), c.To.Name, c.Protocol, c.Port)
}

// isRaw tells whether the cell's packets are made by hand.
func (c Cell) isRaw() bool { return c.Protocol == corev1.ProtocolSCTP || c.Protocol == ICMP }

// Listen starts an echo for UDP on these ports of all hosts. TCP needs no listener: a refusal from
// the other end shows just as well that packets pass both ways; for SCTP, that is made by hand.
func (l *Lab) Listen(t testing.TB, ports []uint16) {
	t.Helper()
	for _, h := range append(slices.Clone(l.Hosts), l.Gateway()) {
		for _, address := range []netip.Addr{h.V4, h.V6} {
			Must(t, network.In(h.NS, func() error {
				err := refuseSCTP(t, address)
				for _, port := range ports {
					err = errors.Join(err, echo(t, netip.AddrPortFrom(address, port)))
				}
				return err
			}))
		}
	}
}

func echo(t testing.TB, at netip.AddrPort) error {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
			}
		}
	}()
	return nil
}

// Probe tries all cells at once, and returns which of them got an answer in time.
func (l *Lab) Probe(t Tester, cells []Cell, patience time.Duration) []bool {
	t.Helper()
	fds := make([]int, len(cells))
	var spaces []netns.NsHandle
	for _, c := range cells {
		if !slices.Contains(spaces, c.From.NS) {
			spaces = append(spaces, c.From.NS)
		}
	}
	for _, ns := range spaces {
		Must(t, network.In(ns, func() error {
			for i, c := range cells {
				if c.From.NS != ns {
					continue
				}
				fd, err := start(c, number(i))
				if err != nil {
					return fmt.Errorf("%s: %w", c, err)
				}
				fds[i] = fd
			}
			return nil
		}))
	}
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	return wait(t, cells, fds, patience)
}

// number is the source port or the identifier of a raw cell, which tells it from others.
func number(i int) uint16 { return uint16(20000 + i) }

// start sends the first packet of a connection, without waiting for anything.
func start(c Cell, number uint16) (int, error) {
	if c.isRaw() {
		return startRaw(c, number)
	}
	domain, kind, proto := unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP
	if c.V6 {
		domain = unix.AF_INET6
	}
	if c.Protocol == corev1.ProtocolUDP {
		kind, proto = unix.SOCK_DGRAM, unix.IPPROTO_UDP
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return 0, err
	}
	err = errors.Join(
		unix.Bind(fd, Sockaddr(c.From.Address(c.V6), 0)),
		ignore(unix.Connect(fd, Sockaddr(c.To.Address(c.V6), c.Port)), unix.EINPROGRESS, unix.ECONNREFUSED))
	if c.Protocol == corev1.ProtocolUDP {
		_, sent := unix.Write(fd, []byte("?"))
		err = errors.Join(err, ignore(sent, unix.EPERM))
	}
	return fd, err
}

func ignore(err error, harmless ...error) error {
	for _, h := range harmless {
		if errors.Is(err, h) {
			return nil
		}
	}
	return err
}

// Sockaddr is an address and a port as the kernel wants them.
func Sockaddr(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: int(port)}
}

// wait polls until every cell is answered or patience runs out.
func wait(t Tester, cells []Cell, fds []int, patience time.Duration) []bool {
	t.Helper()
	passed := make([]bool, len(cells))
	deadline := time.Now().Add(patience)
	for {
		var polls []unix.PollFd
		var at []int
		for i := range cells {
			if passed[i] {
				continue
			}
			events := int16(unix.POLLIN)
			if cells[i].Protocol == corev1.ProtocolTCP {
				events = unix.POLLOUT
			}
			polls = append(polls, unix.PollFd{Fd: int32(fds[i]), Events: events})
			at = append(at, i)
		}
		left := time.Until(deadline)
		if len(polls) == 0 || left <= 0 {
			return passed
		}
		if _, err := unix.Poll(polls, int(left.Milliseconds())+1); err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
		for j, p := range polls {
			if i := at[j]; p.Revents != 0 {
				passed[i] = !cells[i].isRaw() || answered(fds[i], cells[i], number(i))
			}
		}
	}
}
