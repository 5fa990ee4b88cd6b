package learn

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/expand"
)

func objectMeta(w *workload) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.namespace, Labels: w.labels}
}

// flow is all connections between two parties on a port.
type flow struct {
	connection
	// counts are by those who counted: each may see the same.
	counts map[pair]map[string]int64
	// clients are those that are known, each of one connection.
	clients     map[client]bool
	first, last time.Time
	// addresses are those of the end that is no pod.
	addresses map[netip.Addr]bool
	// doubtful says that there are too few, and added that the AppTiers that were there did not allow it.
	doubtful, added bool
}

// pair is two ends as they were seen, and client one of them with its port.
type (
	pair   struct{ from, to string }
	client struct {
		pair
		port int32
	}
)

func nameOf(e End) string {
	if e.Pod != "" {
		return e.Namespace + "/" + e.Pod
	}
	return cmp.Or(map[bool]string{true: e.Address.String()}[e.Address.IsValid()], e.Namespace+"/"+e.Workload+e.Service.String())
}

func (f *flow) add(o Observation) {
	if o.Client > 0 {
		// One that was seen on its way to a Service and behind it is one; addresses that are no pods are others.
		of := pair{from: nameOf(o.Source)}
		if f.to.workload == nil {
			of.to = nameOf(o.Destination)
		}
		f.clients[client{of, o.Client}] = true
	} else {
		of := pair{nameOf(o.Source), nameOf(o.Destination)}
		if f.counts[of] == nil {
			f.counts[of] = map[string]int64{}
		}
		f.counts[of][o.Node] += o.Count
	}
	s := Seen{1, f.first, f.last}.with(Seen{1, o.First, o.Last})
	f.first, f.last = s.First, s.Last
	for _, p := range []party{f.from, f.to} {
		if p.workload == nil && p.address.IsValid() {
			f.addresses[p.address] = true
		}
	}
}

// seen is how often: the most that one of those who counted saw of a pair.
func (f *flow) seen() Seen {
	out := Seen{int64(len(f.clients)), f.first, f.last}
	for _, counts := range f.counts {
		out.Count += slices.Max(slices.Collect(maps.Values(counts)))
	}
	return out
}

// isOutside says whether an end is an address of the internet.
func (in *Input) isOutside(p party) bool {
	return p.workload == nil && p.is == "" && p.address.IsValid() && expand.IsInternet(p.address, in.Environment.ClusterNetworks)
}

// flows are all connections that are not denied, each once, in the order in which they were seen first in the input.
// What is left out is noted.
func (l *learning) flows() []*flow {
	var out []*flow
	byKey := map[connection]*flow{}
	for _, o := range l.in.Observations {
		if o.Denied {
			l.out.Denied += o.Count
			continue
		}
		connections, reason := l.resolver.connections(o)
		if reason != "" {
			l.leaveOut(o, reason)
			continue
		}
		for _, c := range connections {
			if c.from.is == OwnNode || c.to.is == OwnNode || o.Source.Pod != "" && nameOf(o.Source) == nameOf(o.Destination) {
				continue // no policy decides these
			}
			key := c
			key.from, key.to = c.from.key(), c.to.key()
			f := byKey[key]
			if f == nil {
				f = &flow{connection: c, counts: map[pair]map[string]int64{}, clients: map[client]bool{}, addresses: map[netip.Addr]bool{}}
				byKey[key] = f
				out = append(out, f)
			}
			f.from, f.to = c.from, c.to // the address is this one's
			f.add(o)
		}
	}
	return out
}

// leaveOut notes what is not learned.
func (l *learning) leaveOut(o Observation, reason string) {
	one := LeftOut{From: said(o.Source), To: said(o.Destination), Protocol: o.Protocol, Port: o.Port, Reason: reason}
	seen := Seen{max(o.Count, 1), o.First, o.Last}
	i, known := l.left[one]
	if !known {
		i = len(l.out.LeftOut)
		l.left[one] = i
		l.out.LeftOut = append(l.out.LeftOut, one)
	}
	l.out.LeftOut[i].Seen = l.out.LeftOut[i].Seen.with(seen)
}

// said is what people know an end by.
func said(e End) string {
	switch {
	case e.Workload != "":
		return e.Namespace + "/" + e.Workload
	case e.Pod != "":
		return e.Namespace + "/" + e.Pod
	case e.Address.IsValid():
		return e.Address.String()
	case e.Service.Name != "":
		return e.Service.String()
	default:
		return cmp.Or(string(e.Is), "nobody")
	}
}

// fold has many addresses of the internet be the internet: where a workload has connections with more of them, in one
// direction and on one port, than are to be named.
func (l *learning) fold(flows []*flow) []*flow {
	type side struct {
		connection
		incoming bool
	}
	sideOf := func(f *flow) (side, bool) {
		s := side{connection: f.connection, incoming: l.in.isOutside(f.from)}
		if s.incoming {
			s.from, s.to = party{}, f.to.key()
		} else {
			s.from, s.to = f.from.key(), party{}
		}
		return s, s.incoming || l.in.isOutside(f.to)
	}
	addresses := map[side]int{}
	for _, f := range flows {
		if s, isOutside := sideOf(f); isOutside {
			addresses[s]++
		}
	}
	var out []*flow
	folded := map[side]*flow{}
	for _, f := range flows {
		s, isOutside := sideOf(f)
		if !isOutside || addresses[s] <= l.in.MostAddresses {
			out = append(out, f)
			continue
		}
		whole := folded[s]
		if whole == nil {
			folded[s] = f
			out = append(out, f)
			if s.incoming {
				f.from.is = internet
			} else {
				f.to.is = internet
			}
			continue
		}
		whole.join(f)
	}
	return out
}

// internet is the kind of an end that is too many addresses to be named.
const internet Kind = "the internet"

func (f *flow) join(g *flow) {
	maps.Copy(f.addresses, g.addresses)
	maps.Copy(f.counts, g.counts)
	maps.Copy(f.clients, g.clients)
	s := Seen{1, f.first, f.last}.with(Seen{1, g.first, g.last})
	f.first, f.last = s.First, s.Last
}
