package flows

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// lineEvery is how often, at most, a connection is in what Due returns, and mostDue how many are at once.
const (
	lineEvery = time.Minute
	mostDue   = 1000
)

// List returns the connections with an end in a namespace that were seen since a time, which is zero for all; the latest
// last. Of an end in another namespace it has the name alone, and of policies there nothing. With no namespace it returns
// those of all, each in the one of the side that decided.
func (f *Flows) List(namespace string, since, now time.Time) connections.ConnectionList {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := time.Duration(math.MinInt64)
	if !since.IsZero() {
		from = f.at(now) - now.Round(0).Sub(since) // since is by the wall clock
	}
	list := connections.ConnectionList{
		TypeMeta: metav1.TypeMeta{APIVersion: connections.GroupVersion.String(), Kind: "ConnectionList"},
		Items:    []connections.Connection{},
	}
	var found []*connection
	f.memory.each(func(c *connection) {
		if c.last >= from && (namespace == "" || slices.Contains(namespacesOf(c), namespace)) {
			found = append(found, c)
		}
	})
	for _, c := range found {
		list.Items = append(list.Items, f.describe(c, namespace, now))
	}
	slices.SortFunc(list.Items, func(a, b connections.Connection) int {
		return cmp.Or(a.Last.Compare(b.Last.Time), a.First.Compare(b.First.Time), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
	list.Missing = f.missing(namespace, from)
	return list
}

// namespacesOf are those of the ends, each once.
func namespacesOf(c *connection) []string {
	var out []string
	for _, e := range []end{c.source, c.destination} {
		if e.who != nil && !slices.Contains(out, e.namespace()) {
			out = append(out, e.namespace())
		}
	}
	return out
}

// describe is a connection as one sees it who may see a namespace.
func (f *Flows) describe(c *connection, namespace string, now time.Time) connections.Connection {
	of := f.classes.all[c.key.class]
	side := c.decided(of.direction)
	var because []connections.PolicyReference
	if side != nil && (namespace == "" || side.namespace() == namespace) {
		because = slices.Clone(c.because)
	}
	in := namespace
	if in == "" {
		in = f.labelsOf(c).Namespace
	}
	return connections.Connection{
		TypeMeta:    metav1.TypeMeta{APIVersion: connections.GroupVersion.String(), Kind: "Connection"},
		ObjectMeta:  metav1.ObjectMeta{Namespace: in, Name: f.nameOf(c)},
		First:       f.shown(c.first, now),
		Last:        f.shown(c.last, now),
		Count:       int64(min(c.count, math.MaxInt64)),
		Verdict:     of.verdict,
		Direction:   of.direction,
		Reason:      of.reason,
		Because:     because,
		Source:      c.source.describe(c.key.initiator.String(), namespace),
		Destination: c.destination.describe(c.key.server.String(), namespace),
		Protocol:    protocol(c.key.protocol),
		Port:        int32(c.key.port),
		Node:        f.options.Node,
	}
}

// shown is a time by the wall clock as it goes now.
func (f *Flows) shown(t time.Duration, now time.Time) metav1.MicroTime {
	return metav1.NewMicroTime(now.Round(0).Add(t - f.at(now)).UTC().Truncate(time.Microsecond))
}

func (e end) describe(address, namespace string) connections.End {
	out := connections.End{Address: address}
	if e.who == nil {
		return out
	}
	out.Namespace, out.Pod = e.who.pod.Namespace, e.who.pod.Name
	if namespace == "" || namespace == out.Namespace {
		out.Workload = e.who.pod.Workload.Value()
		out.AppTier, out.Tier = e.selected()
	}
	return out
}

// nameOf is made of all that tells a connection from others, the pods' UIDs among it: the next pod of the same name or
// address has connections of its own.
func (f *Flows) nameOf(c *connection) string {
	of := f.classes.all[c.key.class]
	var uids [2]string
	for i, e := range []end{c.source, c.destination} {
		if e.who != nil {
			uids[i] = string(e.who.pod.UID)
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s %s %s %d %d %s %s", f.options.Node, of.verdict, of.direction, of.reason,
		c.key.initiator, c.key.server, c.key.protocol, c.key.port, uids[0], uids[1]))
	return strings.ToLower(string(of.verdict)) + "-" + hex.EncodeToString(sum[:10])
}

func protocol(number uint8) corev1.Protocol {
	switch number {
	case 1:
		return "ICMP"
	case 6:
		return corev1.ProtocolTCP
	case 17:
		return corev1.ProtocolUDP
	case 58:
		return "ICMPv6"
	case 132:
		return corev1.ProtocolSCTP
	default:
		return corev1.Protocol(strconv.Itoa(int(number)))
	}
}

// missing says what a list has not.
func (f *Flows) missing(namespace string, since time.Duration) (out []connections.Missing) {
	add := func(count uint64, verdict connections.Verdict, reason string) {
		if count > 0 {
			out = append(out, connections.Missing{Node: f.options.Node, Verdict: verdict, Reason: reason, Count: int64(min(count, math.MaxInt64))})
		}
	}
	for reason, t := range f.missed.byReason {
		verdict := connections.Denied
		if passed := connections.Verdict(reason); passed == connections.WouldDeny || passed == connections.Allowed {
			verdict = passed // see Reading.Missed
		}
		add(t.since(since), verdict, fmt.Sprintf("the kernel had no space for them, or one end asked for too much of it (%s)", reason))
	}
	var forgotten uint64
	for in, t := range f.missed.forgot {
		if namespace == "" || namespace == in {
			forgotten += t.since(since)
		}
	}
	add(forgotten, "", "there were too many connections to remember all")
	slices.SortFunc(out, func(a, b connections.Missing) int { return cmp.Compare(a.Reason, b.Reason) })
	return out
}

// Due returns denied connections, and those that would be denied, of which a line is to be written: those that were seen
// since their last line, at most once a minute each. Their count is that since then.
func (f *Flows) Due(now time.Time) (lines []connections.Connection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.at(now)
	left := f.unlogged[:0]
	for _, c := range f.unlogged {
		switch {
		case c.from == nil:
		case c.unnamed, at-c.logged < lineEvery, len(lines) >= mostDue:
			left = append(left, c)
		default:
			line := f.describe(c, "", now)
			line.Count = int64(min(c.unlogged, math.MaxInt64))
			lines = append(lines, line)
			c.unlogged, c.queued, c.logged = 0, false, at
		}
	}
	clear(f.unlogged[len(left):])
	f.unlogged = left
	return lines
}
