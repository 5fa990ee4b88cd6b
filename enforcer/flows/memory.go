package flows

import (
	"cmp"
	"container/heap"
	"net/netip"
	"time"
)

const (
	// mostInAll and mostPerNamespace are how many connections are remembered. Above that, the least recently seen of the
	// initiator goes that has the most of the namespace that has the most: who scans hides only what itself did before.
	mostInAll        = 10_000
	mostPerNamespace = 2_500
)

// memory holds the connections that are remembered, and knows which is the next to go.
type memory struct {
	most, mostEach int
	count          int
	shares         map[share]*shareOf
	order          byMost[*shareOf]
}

// share is who a connection counts for: the namespace of its initiator, or if that is no pod, that of its server. Those
// from outside have a share of their own, so that nobody outside makes a namespace forget what its own pods did; and so
// have those of which the sources are invented, of which there may be any number.
type share struct {
	namespace string
	from      origin
}

// origin is where a connection comes from.
type origin uint8

const (
	fromPod origin = iota
	fromOutside
	fromSpoofed
)

// shareOf is the connections of a share.
type shareOf struct {
	share
	count, index int
	initiators   map[netip.Addr]*initiator
	order        byMost[*initiator]
}

// initiator is the connections of one initiator in a share, a ring from the one seen last to the one seen least
// recently.
type initiator struct {
	of           *shareOf
	address      netip.Addr
	count, index int
	ring         connection // its next is the one seen last
}

func newMemory() *memory {
	return &memory{most: mostInAll, mostEach: mostPerNamespace, shares: map[share]*shareOf{}}
}

// add remembers a connection in a share, and returns those that had to go for it.
func (m *memory) add(c *connection, in share) (gone []*connection) {
	of := m.shares[in]
	if of == nil {
		of = &shareOf{share: in, initiators: map[netip.Addr]*initiator{}}
		m.shares[of.share] = of
		heap.Push(&m.order, of)
	}
	from := of.initiators[c.key.initiator]
	if from == nil {
		from = &initiator{of: of, address: c.key.initiator}
		from.ring.next, from.ring.previous = &from.ring, &from.ring
		of.initiators[from.address] = from
		heap.Push(&of.order, from)
	}
	c.from = from
	c.link()
	m.change(from, 1)
	for of.count > m.mostEach {
		gone = append(gone, m.removeLast(of))
	}
	for m.count > m.most {
		gone = append(gone, m.removeLast(m.order.items[0]))
	}
	return gone
}

// touch notes that a connection was seen again.
func (m *memory) touch(c *connection) {
	c.unlink()
	c.link()
	heap.Fix(&c.from.of.order, c.from.index)
}

// remove forgets a connection.
func (m *memory) remove(c *connection) {
	from := c.from
	c.unlink()
	c.from = nil
	m.change(from, -1)
}

func (m *memory) removeLast(of *shareOf) *connection {
	last := of.order.items[0].ring.previous
	m.remove(last)
	return last
}

func (m *memory) change(from *initiator, by int) {
	of := from.of
	m.count, of.count, from.count = m.count+by, of.count+by, from.count+by
	if from.count == 0 {
		heap.Remove(&of.order, from.index)
		delete(of.initiators, from.address)
	} else {
		heap.Fix(&of.order, from.index)
	}
	if of.count == 0 {
		heap.Remove(&m.order, of.index)
		delete(m.shares, of.share)
	} else {
		heap.Fix(&m.order, of.index)
	}
}

func (c *connection) link() {
	first := c.from.ring.next
	c.previous, c.next = &c.from.ring, first
	c.from.ring.next, first.previous = c, c
}

func (c *connection) unlink() {
	c.previous.next, c.next.previous = c.next, c.previous
	c.previous, c.next = nil, nil
}

// each passes all connections of a memory.
func (m *memory) each(do func(*connection)) {
	for _, of := range m.shares {
		for _, from := range of.initiators {
			for c := from.ring.next; c != &from.ring; {
				next := c.next
				do(c)
				c = next
			}
		}
	}
}

// ranked is what has an order of who has the most; of equals, the one that was seen least recently is first.
type ranked interface {
	rank() (count int, seen time.Duration)
	before(ranked) bool
	place(index int)
}

func (s *shareOf) rank() (int, time.Duration) { return s.count, 0 }
func (s *shareOf) place(index int)            { s.index = index }
func (s *shareOf) before(o ranked) bool {
	other := o.(*shareOf)
	return cmp.Or(cmp.Compare(s.namespace, other.namespace), cmp.Compare(other.from, s.from)) < 0
}

func (i *initiator) rank() (int, time.Duration) { return i.count, i.ring.previous.last }
func (i *initiator) place(index int)            { i.index = index }
func (i *initiator) before(o ranked) bool       { return i.address.Less(o.(*initiator).address) }

// byMost is a heap with the one that has the most on top.
type byMost[T ranked] struct{ items []T }

// Len is heap.Interface's.
func (h *byMost[T]) Len() int { return len(h.items) }

// Less is heap.Interface's.
func (h *byMost[T]) Less(i, j int) bool {
	a, b := h.items[i], h.items[j]
	count, seen := a.rank()
	otherCount, otherSeen := b.rank()
	if by := cmp.Or(cmp.Compare(otherCount, count), cmp.Compare(seen, otherSeen)); by != 0 {
		return by < 0
	}
	return a.before(b)
}

// Swap is heap.Interface's.
func (h *byMost[T]) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].place(i)
	h.items[j].place(j)
}

// Push is heap.Interface's.
func (h *byMost[T]) Push(item any) {
	item.(T).place(len(h.items))
	h.items = append(h.items, item.(T))
}

// Pop is heap.Interface's.
func (h *byMost[T]) Pop() any {
	last := h.items[len(h.items)-1]
	h.items = h.items[:len(h.items)-1]
	return last
}
