package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
)

// datagrams starts a flow over UDP that is one connection, with answers, from the client.
func (l *lab) datagrams() (*flow, error) {
	var conn net.Conn
	if err := network.In(l.pods[client], func() (err error) {
		conn, err = net.Dial("udp4", netip.AddrPortFrom(wired[server], probePort).String())
		return err
	}); err != nil {
		return nil, err
	}
	return l.prober.add(&flow{
		patience: settledAfter, answers: true, close: func() { _ = conn.Close() },
		write: func(payload []byte) error {
			_, err := conn.Write(payload)
			return err
		},
	}), nil
}

// dial connects the client to the server over TCP.
func (l *lab) dial() (dialed *net.TCPConn, accepted net.Conn, err error) {
	var listener net.Listener
	if err := network.In(l.pods[server], func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf(":%d", probePort))
		return err
	}); err != nil {
		return nil, nil, err
	}
	defer listener.Close()
	var conn net.Conn
	if err := network.In(l.pods[client], func() (err error) {
		dialer := net.Dialer{Timeout: never}
		conn, err = dialer.Dial("tcp4", netip.AddrPortFrom(wired[server], probePort).String())
		return err
	}); err != nil {
		return nil, nil, fmt.Errorf("connecting, which is allowed: %w", err)
	}
	accepted, err = listener.Accept()
	return conn.(*net.TCPConn), accepted, err
}

// stream starts a flow over one TCP connection from the client. What is lost is sent again, so the
// number of packets that were lost is that of the connection, see retransmissions.
func (l *lab) stream() (*flow, *net.TCPConn, error) {
	conn, accepted, err := l.dial()
	if err != nil {
		return nil, nil, err
	}
	// What waits to be sent again must not block who writes.
	if err := conn.SetWriteBuffer(4 << 20); err != nil {
		return nil, nil, err
	}
	go func() {
		payload := make([]byte, payloadLength)
		for {
			if _, err := io.ReadFull(accepted, payload); err != nil {
				return
			}
			l.prober.arrived(payload)
		}
	}()
	return l.prober.add(&flow{
		// Longer than it takes to send again what was lost, TCP_RTO_MIN.
		patience: 3 * settledAfter, close: func() { _, _ = conn.Close(), accepted.Close() },
		write: func(payload []byte) error {
			_, err := conn.Write(payload)
			return err
		},
	}), conn, nil
}

// retransmissions is how many packets a connection has sent again because they were lost: not those
// of which the other end says that it had them already (RFC 2883), as happens when both are slow.
func retransmissions(conn *net.TCPConn) (n int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	control := raw.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int(info.Total_retrans) - int(info.Dsack_dups)
		}
	})
	return n, errors.Join(err, control)
}
