package api

import (
	"net"
	"testing"
)

// many is a listener to which clients come at once.
type many struct {
	net.Listener
	clients []*client
}

// client is a connection that notes that it is closed.
type client struct {
	net.Conn
	closed bool
}

func (c *client) Close() error {
	c.closed = true
	return nil
}

func (m *many) Accept() (net.Conn, error) {
	c := &client{}
	m.clients = append(m.clients, c)
	return c, nil
}

// The stranger who has waited longest makes way for the next; who is known stays, and they are not more than there are places for.
func TestPlaces(t *testing.T) {
	from := &many{}
	p := &places{Listener: from}
	accept := func() net.Conn {
		t.Helper()
		conn, err := p.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	first := accept()
	if !p.know(first) || p.know(first) {
		t.Error("the first is known, and once")
	}
	for range 3 * mostStrangers {
		accept()
	}
	for i, c := range from.clients {
		if want := i > 0 && i <= 2*mostStrangers; c.closed != want {
			t.Errorf("number %d of %d is closed: %t", i, len(from.clients), c.closed)
		}
	}
	var known []net.Conn
	for range mostKnown - 1 {
		c := accept()
		if !p.know(c) {
			t.Fatalf("%d are known, and the next is not", len(known))
		}
		known = append(known, c)
	}
	last := accept()
	if p.know(last) {
		t.Errorf("more are known than %d", mostKnown)
	}
	for range 2 { // who closes twice has left one place
		if err := known[0].Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !p.know(last) || p.know(accept()) {
		t.Error("a place is not left once")
	}
	for _, c := range append(known, first, last) {
		_ = c.Close()
	}
	if p.known != 0 || p.strangers.Len() > mostStrangers {
		t.Errorf("in the end %d are known, and %d strangers", p.known, p.strangers.Len())
	}
}
