package attack

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/wiring"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

const (
	soon = 5 * time.Second        // for what is to happen
	idle = 500 * time.Millisecond // for what is not to
)

// scene is where an attack takes place.
type scene struct {
	t   *testing.T
	lab *lab.Lab
	by  attacker
	// wiring is the lab's.
	wiring lab.Wiring
	// looks binds the pods' addresses to their links.
	looks *wiring.Node
	// attacker, victim and friend are pods of the node and of the namespace x. Their link inside is
	// lab.Inside(0), (1) and (2), and on the node lab.Outside.
	attacker, victim, friend lab.Host
	v6                       bool
	// held is a connection of attacker and victim that was made before, if there is one.
	held struct{ client, server net.Conn }
	// patience is how long to wait for a sign that the attack gets through.
	patience time.Duration
}

func newScene(t *testing.T, by attacker, wiring lab.Wiring, v6 bool) *scene {
	t.Helper()
	l := lab.New(t, wiring)
	l.Listen(t, []uint16{80})
	return &scene{
		t: t, lab: l, by: by, wiring: wiring, v6: v6, patience: soon, looks: l.Looks(t),
		attacker: l.Host("local-0"), victim: l.Host("local-1"), friend: l.Host("local-2"),
	}
}

// attack runs the attacker's code in its pod. Its errors end the test; what rules answer to a packet,
// like EPERM, must not be one of them.
func (s *scene) attack(f func() error) {
	s.t.Helper()
	lab.Must(s.t, s.by.run(s.attacker.NS, f))
}

// in runs what is not the attacker's code in a host's namespace, with all capabilities.
func (s *scene) in(h lab.Host, f func() error) {
	s.t.Helper()
	lab.Must(s.t, network.In(h.NS, f))
}

// binds runs what binds a port in a host's namespace. It repeats that while the port is taken: a process that
// this one starts has its sockets, also those that are closed meanwhile, until it runs a program.
func (s *scene) binds(h lab.Host, f func() error) {
	s.t.Helper()
	for deadline := time.Now().Add(soon); ; <-time.After(time.Millisecond) {
		err := network.In(h.NS, f)
		if !errors.Is(err, unix.EADDRINUSE) || time.Now().After(deadline) {
			lab.Must(s.t, err)
			return
		}
	}
}

// secret is what attackers send or want.
var secret = []byte("a secret of " + lab.NodeName)

// listen opens a packet socket of package net at a host, until the attempt is over. What it returns waits for
// a packet that contains the secret, and tells whether it came; it is called once.
func (s *scene) listen(at lab.Host, protocol, address string) (heard func() bool) {
	s.t.Helper()
	var conn net.PacketConn
	s.binds(at, func() (err error) {
		conn, err = net.ListenPacket(protocol, address)
		return err
	})
	return s.hears(conn)
}

// hears is what listen returns, of any socket.
func (s *scene) hears(conn net.PacketConn) func() bool {
	return func() bool {
		defer conn.Close()
		lab.Must(s.t, conn.SetReadDeadline(time.Now().Add(s.patience)))
		buf := make([]byte, 2048)
		for {
			n, _, err := conn.ReadFrom(buf)
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return false
			}
			lab.Must(s.t, err)
			if bytes.Contains(buf[:n], secret) {
				return true
			}
		}
	}
}

// serve tells the secret to whoever connects by TCP to an address of a host, until stop is called.
func (s *scene) serve(at lab.Host, address string) (stop func()) {
	s.t.Helper()
	var listener net.Listener
	s.binds(at, func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(secret)
			_ = conn.Close()
		}
	}()
	return func() { _ = listener.Close() }
}

// steals connects by TCP as the attacker, and tells whether it was told the secret.
func (s *scene) steals(address string) bool {
	s.t.Helper()
	stolen := false
	s.attack(func() error {
		conn, err := net.DialTimeout("tcp", address, s.patience)
		if err != nil {
			return nil // it did not get through
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(s.patience))
		buf := make([]byte, len(secret))
		n, _ := conn.Read(buf)
		stolen = bytes.Equal(buf[:n], secret)
		return nil
	})
	return stolen
}

// connects tells whether one host gets an answer of another, by the scene's family.
func (s *scene) connects(from, to lab.Host, protocol corev1.Protocol, port uint16) bool {
	s.t.Helper()
	return s.lab.Probe(s.t, []lab.Cell{{From: from, To: to, V6: s.v6, Protocol: protocol, Port: port}}, soon)[0]
}
