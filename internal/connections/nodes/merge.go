package nodes

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/connections/share"
)

// clocks is how much the clocks of two nodes may differ, with the second that each may be late.
const clocks = 3 * time.Second

// ends tell connections apart whoever saw them.
type ends struct {
	source, destination connections.End
	protocol            corev1.Protocol
	port                int32
}

func endsOf(c connections.Connection) ends {
	return ends{c.Source, c.Destination, c.Protocol, c.Port}
}

// span is from when to when a node denied a connection.
type span struct{ first, last time.Time }

// merge makes one of what several nodes say of a connection that each of them lets through. No node takes back another's word:
// what one lets through and another denies at the time is there twice, and marked where it passed.
func merge(items []connections.Connection) []connections.Connection {
	denied := denials(items)
	var out []connections.Connection
	allowed := map[ends]int{} // where it is in out
	for _, c := range items {
		if c.Verdict != connections.Allowed {
			out = append(out, c)
			continue
		}
		if isDeniedElsewhere(c, denied[endsOf(c)]) {
			c.Reason = connections.ReasonDeniedElsewhere
		}
		if i, told := allowed[endsOf(c)]; told && out[i].Node != c.Node {
			out[i] = both(out[i], c)
			continue
		}
		allowed[endsOf(c)] = len(out)
		out = append(out, c)
	}
	slices.SortFunc(out, share.ByTime) // of two nodes' words the later time counts
	return out
}

// denials are when nodes denied what.
func denials(items []connections.Connection) map[ends]map[string]span {
	out := map[ends]map[string]span{}
	for _, c := range items {
		if c.Verdict != connections.Denied {
			continue
		}
		at := endsOf(c)
		if out[at] == nil {
			out[at] = map[string]span{}
		}
		s, known := out[at][c.Node]
		if !known || c.First.Time.Before(s.first) {
			s.first = c.First.Time
		}
		if !known || c.Last.After(s.last) {
			s.last = c.Last.Time
		}
		out[at][c.Node] = s
	}
	return out
}

// isDeniedElsewhere says whether another node denied a connection when this one last let it through.
func isDeniedElsewhere(c connections.Connection, denied map[string]span) bool {
	for node, s := range denied {
		if node != c.Node && !c.Last.After(s.last.Add(clocks)) && !c.Last.Time.Before(s.first.Add(-clocks)) {
			return true
		}
	}
	return false
}

// both is what two nodes say of a connection. Its name and node are the first one's by name, whoever answers first.
func both(a, b connections.Connection) connections.Connection {
	if b.Node < a.Node {
		a, b = b, a
	}
	a.Count, a.Reason = max(a.Count, b.Count), cmp.Or(a.Reason, b.Reason)
	if b.First.Time.Before(a.First.Time) {
		a.First = b.First
	}
	if b.Last.After(a.Last.Time) {
		a.Last = b.Last
	}
	return a
}
