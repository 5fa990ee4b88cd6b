package compile

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/rule"
)

// numbered returns the rules that are about some ports of a protocol, but not all, and no names.
func (d *chainBuilder) numbered(protocol corev1.Protocol) []*portGroup {
	var out []*portGroup
	for _, s := range d.portGroups {
		if s.port.protocol == protocol && len(s.port.spans) > 0 && !s.port.allPorts() {
			out = append(out, s)
		}
	}
	return out
}

// segment is a range of ports that the same rules are about.
type segment struct {
	portSpan
	rules []*portGroup
}

// most bounds how many times rules are copied into chains of ports: for each rule, so many ranges that other
// rules cut its own into. Only rules that cross each other again and again have more.
const most = 16

// segments cuts the ports of rules where any of them begins or ends, so that no two segments overlap, which
// an interval map would not take. Rules that would be cut too often are returned as they are.
func (b *buffers) segments(numbered []*portGroup) (out []segment, uncut []*portGroup) {
	free := 0
	for _, s := range numbered {
		free += most + len(s.port.spans)
	}
	if out, ok := b.sweep(numbered, free); ok {
		return out, nil
	}
	numbered, uncut = bounded(numbered, free)
	out, _ = b.sweep(numbered, free)
	return out, uncut
}

// buffers are used again for each chain: what is written in them is of no use once it is dispatched.
type buffers struct {
	edges, ordered []edge
	parts          []segment
	rules          []*portGroup
	pieces, page   []piece
	from           [rule.LastPort + 3]int32
	content        []byte // of a text that a name is made of
}

// edge is a port that rules begin at, or the first after their last: port, rule and whether it is the end.
type edge uint64

func edgeOf(port int32, rule int, end uint64) edge {
	return edge(uint64(port)<<32 | uint64(rule)<<1 | end)
}

func (e edge) port() int32 { return int32(e >> 32) }
func (e edge) rule() int   { return int(uint32(e) >> 1) }
func (e edge) ends() bool  { return e&1 != 0 }

// sweep returns the segments unless they are about more than so many rules, each counted every time.
func (b *buffers) sweep(numbered []*portGroup, free int) (out []segment, ok bool) {
	b.edges = b.edges[:0]
	for i, s := range numbered {
		for _, span := range s.port.spans {
			b.edges = append(b.edges, edgeOf(span.first, i, 0), edgeOf(span.last+1, i, 1))
		}
	}
	edges := b.inOrder()
	out, rules := b.parts[:0], b.rules[:0] // the rules of all segments, one after another
	defer func() { b.parts, b.rules = out, rules }()
	var open []int // indexes of rules, sorted
	for i, e := range edges {
		at, _ := slices.BinarySearch(open, e.rule())
		if e.ends() {
			open = slices.Delete(open, at, at+1)
		} else {
			open = slices.Insert(open, at, e.rule())
		}
		if i+1 == len(edges) || edges[i+1].port() == e.port() || len(open) == 0 {
			continue
		}
		if free -= len(open); free < 0 {
			return nil, false
		}
		from := len(rules)
		for _, rule := range open {
			rules = append(rules, numbered[rule])
		}
		out = append(out, segment{portSpan{e.port(), edges[i+1].port() - 1}, rules[from:len(rules):len(rules)]})
	}
	return out, true
}

// inOrder returns the edges in the order of their ports: counted, for there are many, and few ports.
func (b *buffers) inOrder() []edge {
	from := b.from[:] // where the edges of a port begin
	clear(from)
	for _, e := range b.edges {
		from[e.port()+1]++
	}
	for port := 1; port < len(from); port++ {
		from[port] += from[port-1]
	}
	b.ordered = slices.Grow(b.ordered[:0], len(b.edges))[:len(b.edges)]
	for _, e := range b.edges {
		b.ordered[from[e.port()]] = e
		from[e.port()]++
	}
	return b.ordered
}

// bounded splits rules into those that may be cut where others begin and end, and those that would be cut
// too often. The ones that are cut least come first.
func bounded(numbered []*portGroup, free int) (cut, uncut []*portGroup) {
	var cuts []int32
	for _, s := range numbered {
		for _, span := range s.port.spans {
			cuts = append(cuts, span.first, span.last+1)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	pieces := make(map[*portGroup]int, len(numbered))
	for _, s := range numbered {
		for _, span := range s.port.spans {
			from, _ := slices.BinarySearch(cuts, span.first)
			to, _ := slices.BinarySearch(cuts, span.last+1)
			pieces[s] += to - from
		}
	}
	least := slices.SortedStableFunc(slices.Values(numbered), func(a, b *portGroup) int { return cmp.Compare(pieces[a], pieces[b]) })
	stays := map[*portGroup]bool{}
	for _, s := range least {
		if free -= pieces[s]; free >= 0 {
			stays[s] = true
		}
	}
	for _, s := range numbered {
		if stays[s] {
			cut = append(cut, s)
		} else {
			uncut = append(uncut, s)
		}
	}
	return cut, uncut
}
