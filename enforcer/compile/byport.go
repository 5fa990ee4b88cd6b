package compile

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/rule"
)

// numbered returns the rules that allow some numbered ports of a protocol, and not all ports.
func (d *chainBuilder) numbered(protocol corev1.Protocol) []*portGroup {
	var out []*portGroup
	for _, s := range d.portGroups {
		if s.port.protocol == protocol && len(s.port.spans) > 0 && !s.port.allPorts() {
			out = append(out, s)
		}
	}
	return out
}

// segment is a range of ports that the same rules allow.
type segment struct {
	portSpan
	rules []*portGroup
}

// most limits how many times rules are copied into chains of ports: for each rule, the number of parts that other rules
// split its ranges into. Only rules that overlap each other many times have more.
const most = 16

// segments splits the ports of rules where any of them begins or ends, so no two segments overlap: an interval map refuses
// overlaps. Rules with too many parts are returned unsplit.
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

// buffers are reused for each chain: their contents are not needed after dispatch.
type buffers struct {
	edges, ordered []edge
	parts          []segment
	rules          []*portGroup
	pieces, page   []piece
	from           [rule.LastPort + 3]int32
	content        []byte // of the text that a name is a hash of
}

// edge is the first port of a rule, or the first after its last port: port, rule, and whether it is the end.
type edge uint64

func edgeOf(port int32, rule int, end uint64) edge {
	return edge(uint64(port)<<32 | uint64(rule)<<1 | end)
}

func (e edge) port() int32 { return int32(e >> 32) }
func (e edge) rule() int   { return int(uint32(e) >> 1) }
func (e edge) ends() bool  { return e&1 != 0 }

// sweep returns the segments, unless their rules, each counted in every segment, are more than the limit.
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

// inOrder returns the edges in the order of their ports. It is a counting sort: there are many edges and few ports.
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

// bounded splits rules into those to split where others begin and end, and those that would have too many parts. Rules
// with the fewest parts come first.
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
