package flows

import (
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/ipset"
)

const (
	// keepEnded is how long it is known who had an address: much longer than the kernel keeps connections.
	keepEnded = 5 * time.Minute
	// mostEnded is how many such are known at most; the earliest go first.
	mostEnded = 20_000
	// mostOfAddress is how many are known to have or have had one address. A node may say of any number of pods that they do.
	mostOfAddress = 64
	// lag is how long after a pod's first packet the API server may show its address.
	lag = 10 * time.Second
	// jitter is how long before its announcement a pod may seem to begin: what the kernel says about time is from while it
	// was read.
	jitter = 250 * time.Millisecond
)

// Pod is a pod as far as connections are named by it. It is never modified.
type Pod struct {
	*ipset.Pod
	UID      types.UID
	Workload Workload
}

// person is one pod, whatever becomes of it.
type person struct {
	pod   *Pod
	known *knowledge // what policies say about it, once somebody asked
}

// tenure is the time in which a pod had an address, by the clock of Flows.
type tenure struct {
	who *person
	// from is since when that is known. Since may it is possible.
	from, may time.Duration
	// to is when it ended, or endless.
	to     time.Duration
	before *tenure // the one that began before
}

const endless = time.Duration(1<<63 - 1)

// history is who had which address, and when.
type history struct {
	present map[types.NamespacedName]*person
	tenures map[netip.Addr]*tenure
	ended   []ending // in the order of time
	changes int      // how often any of this has changed
}

type ending struct {
	address netip.Addr
	*tenure
}

func newHistory() *history {
	return &history{changes: 1, present: map[types.NamespacedName]*person{}, tenures: map[netip.Addr]*tenure{}}
}

// set tells that a pod has the addresses of now, or that there is none of this name. Of one that is new since may is
// when it can have begun to have them at the earliest, and from since when it has.
func (h *history) set(key types.NamespacedName, pod *Pod, may, from, now time.Duration) {
	h.changes++
	was := h.present[key]
	if was != nil && pod != nil && was.pod.UID == pod.UID {
		for _, a := range was.pod.Addresses {
			if !pod.has(a.Addr) {
				h.end(a.Addr, was, now)
			}
		}
		for _, a := range pod.Addresses {
			if !was.pod.has(a.Addr) {
				h.begin(a.Addr, was, may, from)
			}
		}
		was.pod = pod
		return
	}
	if was != nil {
		for _, a := range was.pod.Addresses {
			h.end(a.Addr, was, now)
		}
		delete(h.present, key)
	}
	if pod != nil {
		who := &person{pod: pod}
		h.present[key] = who
		for _, a := range pod.Addresses {
			h.begin(a.Addr, who, may, from)
		}
	}
}

func (p *Pod) has(address netip.Addr) bool {
	return slices.ContainsFunc(p.Addresses, func(a ipset.Address) bool { return a.Addr == address })
}

// past tells of a pod that was over before it was known.
func (h *history) past(pod *Pod, addresses []netip.Addr, from, to time.Duration) {
	h.changes++
	who := &person{pod: pod}
	for _, a := range addresses {
		h.begin(a, who, from, from)
		h.end(a, who, to)
	}
}

// begin puts a tenure where its time is.
func (h *history) begin(a netip.Addr, who *person, may, from time.Duration) {
	defer h.bound(a)
	began := &tenure{who: who, from: from, may: may, to: endless}
	if first := h.tenures[a]; first == nil || first.from <= from {
		began.before = first
		h.tenures[a] = began
		return
	}
	after := h.tenures[a]
	for after.before != nil && after.before.from > from {
		after = after.before
	}
	began.before, after.before = after.before, began
}

// bound forgets one tenure of an address that has too many: the one that ended first, or if none has, the one that began
// first and is of another node.
func (h *history) bound(a netip.Addr) {
	count := 0
	var first *tenure
	for t := h.tenures[a]; t != nil; t = t.before {
		count++
		if first == nil || t.lessWorth(first) {
			first = t
		}
	}
	if count > mostOfAddress {
		h.drop(ending{a, first})
	}
}

// lessWorth says which of two tenures of an address is forgotten first; the other one began later.
func (t *tenure) lessWorth(o *tenure) bool {
	if t.to != o.to {
		return t.to < o.to
	}
	return t.who.rank() <= o.who.rank()
}

func (h *history) end(a netip.Addr, who *person, now time.Duration) {
	for t := h.tenures[a]; t != nil; t = t.before {
		if t.who == who && t.to == endless {
			t.to = now
			h.ended = append(h.ended, ending{a, t})
			return
		}
	}
}

// forget drops what ended long ago.
func (h *history) forget(now time.Duration) {
	n := 0
	for _, e := range h.ended {
		if now-e.to < keepEnded && len(h.ended)-n <= mostEnded {
			break
		}
		h.drop(e)
		n++
	}
	h.ended = slices.Delete(h.ended, 0, n)
}

func (h *history) drop(e ending) {
	if h.tenures[e.address] == e.tenure {
		if h.tenures[e.address] = e.before; e.before == nil {
			delete(h.tenures, e.address)
		}
		return
	}
	for t := h.tenures[e.address]; t != nil; t = t.before {
		if t.before == e.tenure {
			t.before = e.before
			return
		}
	}
}

// at returns who had an address at a time; nil if no pod did, as far as is known. Of several it is one of this node, and
// one that the container runtime has announced, before others, as in ipset; and then the one that has had it for less
// long: an address is given again before the end of a pod is known, and not the other way round. An address that nobody
// is known to have had may have been that of the pod that came next.
func (h *history) at(a netip.Addr, when time.Duration) *person {
	var best, next *tenure
	for t := h.tenures[a]; t != nil; t = t.before {
		switch {
		case t.from <= when && when <= t.to:
			if best == nil || t.who.rank() > best.who.rank() {
				best = t
			}
		case t.may <= when && when < t.from:
			next = t
		}
	}
	if best == nil {
		best = next
	}
	if best == nil {
		return nil
	}
	return best.who
}

func (p *person) rank() int {
	switch {
	case p.pod.Local && p.pod.Announced:
		return 2
	case p.pod.Local:
		return 1
	default:
		return 0
	}
}
