package kernel

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// stream is a flow of numbered packets from one host to another, about one each millisecond, for as
// long as the test lasts.
type stream struct {
	name           string
	sent, arrived  atomic.Int64
	lastArrival    atomic.Int64 // Unix nanoseconds
	client, server net.Conn     // of TCP
}

const streamPace = time.Millisecond

// startStreams starts a TCP and a UDP flow to the server, by an address that may be a service's.
func (l labNode) startStreams(t *testing.T, name string, from, server lab.Host, at netip.AddrPort, port uint16) []*stream {
	t.Helper()
	return []*stream{l.startTCP(t, name+" TCP", from, server, at, port), l.startUDP(t, name+" UDP", from, server, at, port)}
}

func (l labNode) startTCP(t *testing.T, name string, from, server lab.Host, at netip.AddrPort, port uint16) *stream {
	t.Helper()
	s := l.dialTo(t, from, server, at, port)
	s.name = name
	go s.send(t, s.client)
	go s.receive(s.server, 8)
	return s
}

func (l labNode) startUDP(t *testing.T, name string, from, server lab.Host, at netip.AddrPort, port uint16) *stream {
	t.Helper()
	s := &stream{name: name}
	v6 := at.Addr().Is6()
	var receiver *net.UDPConn
	lab.Must(t, network.In(server.NS, func() (err error) {
		receiver, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server.Address(v6), port)))
		return errors.Join(err, receiver.SetReadBuffer(1<<20))
	}))
	lab.Must(t, network.In(from.NS, func() (err error) {
		s.client, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.Address(v6), 0)), net.UDPAddrFromAddrPort(at))
		return err
	}))
	t.Cleanup(func() { _, _ = s.client.Close(), receiver.Close() })
	go s.send(t, s.client)
	go s.receive(receiver, 8)
	return s
}

func (s *stream) send(t *testing.T, to net.Conn) {
	ticker := time.NewTicker(streamPace)
	defer ticker.Stop()
	packet := make([]byte, 8)
	for {
		select {
		case <-t.Context().Done():
			return
		case <-ticker.C:
		}
		binary.BigEndian.PutUint64(packet, uint64(s.sent.Load()))
		if _, err := to.Write(packet); errors.Is(err, net.ErrClosed) {
			return
		}
		s.sent.Add(1)
	}
}

func (s *stream) receive(from net.Conn, size int) {
	buf := make([]byte, size)
	for {
		n, err := from.Read(buf)
		if errors.Is(err, net.ErrClosed) || err != nil && n == 0 {
			return
		}
		s.arrived.Add(1)
		s.lastArrival.Store(time.Now().UnixNano())
	}
}

// lastAfter returns how long after a moment the last packet arrived.
func (s *stream) lastAfter(moment time.Time) time.Duration {
	return time.Unix(0, s.lastArrival.Load()).Sub(moment)
}

// flows tells whether packets arrive within a time.
func (s *stream) flows(within time.Duration) bool {
	before := s.arrived.Load()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); <-time.After(streamPace) {
		if s.arrived.Load() > before {
			return true
		}
	}
	return false
}

// dialTo connects to a server, by an address that may be a service's; the rules must allow it.
func (l labNode) dialTo(t *testing.T, from, server lab.Host, at netip.AddrPort, port uint16) *stream {
	t.Helper()
	s := &stream{}
	var listener net.Listener
	v6 := at.Addr().Is6()
	lab.Must(t, network.In(server.NS, func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(server.Address(v6), port).String())
		return err
	}))
	defer func() { _ = listener.Close() }()
	lab.Must(t, network.In(from.NS, func() (err error) {
		dialer := net.Dialer{Timeout: soon, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from.Address(v6), 0))}
		s.client, err = dialer.Dial("tcp", at.String())
		return err
	}))
	accepted, err := listener.Accept()
	lab.Must(t, err)
	s.server = accepted
	t.Cleanup(func() { _, _ = s.client.Close(), s.server.Close() })
	return s
}

// dial connects from one host to another.
func (l labNode) dial(t *testing.T, from, to lab.Host, v6 bool, port uint16) *stream {
	t.Helper()
	return l.dialTo(t, from, to, netip.AddrPortFrom(to.Address(v6), port), port)
}
