package api

import (
	"container/list"
	"net"
	"sync"
)

const (
	// mostStrangers is how many connections are open of clients that have not shown yet that they are the API server's proxy. Any
	// pod may open some. Then the one that has waited longest makes way for the next: so nobody is kept out by those who say
	// nothing, unless they open this many connections in the time that the API server's handshake takes.
	mostStrangers = 128
	// mostKnown is how many the API servers have. Each has a few, and sends many requests by one (HTTP/2).
	mostKnown = 256
)

// places bounds the connections of a listener: a server that has too many has no memory for others, or no file descriptors.
type places struct {
	net.Listener

	mutex     sync.Mutex
	strangers list.List // of *placed, the one that has waited longest first
	known     int
}

// placed is a connection that has a place until it is closed.
type placed struct {
	net.Conn
	of *places
	// waits is its place among the strangers, and isKnown says that it has one of the others.
	waits   *list.Element
	isKnown bool
}

// Accept gives the next connection a place among the strangers.
func (p *places) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &placed{Conn: conn, of: p}
	if longest := p.enter(c); longest != nil {
		_ = longest.Close() // the server that has it notices
	}
	return c, nil
}

// enter returns who has to go.
func (p *places) enter(c *placed) (longest *placed) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	c.waits = p.strangers.PushBack(c)
	if p.strangers.Len() > mostStrangers {
		return p.strangers.Front().Value.(*placed)
	}
	return nil
}

// know gives a connection a place among those that are known, if there is one.
func (p *places) know(conn net.Conn) bool {
	c, ok := conn.(*placed)
	if !ok {
		return false
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if c.waits == nil || p.known == mostKnown {
		return false
	}
	p.strangers.Remove(c.waits)
	c.waits, c.isKnown = nil, true
	p.known++
	return true
}

// Close closes a connection, and leaves its place.
func (c *placed) Close() error {
	c.of.leave(c)
	return c.Conn.Close()
}

func (p *places) leave(c *placed) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if c.waits != nil {
		p.strangers.Remove(c.waits)
		c.waits = nil
	}
	if c.isKnown {
		c.isKnown = false
		p.known--
	}
}
