package nodes

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
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

// merge makes one of what the nodes of both ends say of a connection that each of them lets through. What one lets
// through and the other denies at the time is denied.
func merge(items []connections.Connection) []connections.Connection {
	denied := map[ends]time.Time{}
	for _, c := range items {
		if at := endsOf(c); c.Verdict == connections.Denied && denied[at].Before(c.Last.Time) {
			denied[at] = c.Last.Time
		}
	}
	var out []connections.Connection
	allowed := map[ends]int{} // where it is in out
	for _, c := range items {
		if c.Verdict != connections.Allowed {
			out = append(out, c)
			continue
		}
		if last, is := denied[endsOf(c)]; is && !c.Last.After(last.Add(clocks)) {
			continue
		}
		if i, told := allowed[endsOf(c)]; told && out[i].Node != c.Node {
			out[i] = both(out[i], c)
			continue
		}
		allowed[endsOf(c)] = len(out)
		out = append(out, c)
	}
	return out
}

// both is what two nodes say of a connection. Its name and node are the first one's by name, whoever answers first.
func both(a, b connections.Connection) connections.Connection {
	if b.Node < a.Node {
		a, b = b, a
	}
	a.Count = max(a.Count, b.Count)
	if b.First.Time.Before(a.First.Time) {
		a.First = b.First
	}
	if b.Last.After(a.Last.Time) {
		a.Last = b.Last
	}
	return a
}
