package connset

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/kube"
)

// point is a value on a line, or on one of several.
type point[T any] interface {
	comparable
	Compare(T) int
	Next() T
	Prev() T
}

// span is the values from first to last, both included, on one line.
type span[T point[T]] struct{ first, last T }

// spans is a set of values: disjoint spans, sorted. The zero value is the empty set.
type spans[T point[T]] []span[T]

// union returns the values of all the given spans.
func union[T point[T]](of ...span[T]) spans[T] {
	slices.SortFunc(of, func(a, b span[T]) int { return a.first.Compare(b.first) })
	var out spans[T]
	for _, s := range of {
		n := len(out)
		switch {
		case n == 0 || out[n-1].last.Compare(s.first) < 0 && out[n-1].last.Next() != s.first:
			out = append(out, s)
		case out[n-1].last.Compare(s.last) < 0:
			out[n-1].last = s.last
		}
	}
	return out
}

func (a spans[T]) intersect(b spans[T]) spans[T] {
	var out spans[T]
	for i, j := 0, 0; i < len(a) && j < len(b); {
		first, last := a[i].first, a[i].last
		if first.Compare(b[j].first) < 0 {
			first = b[j].first
		}
		if last.Compare(b[j].last) > 0 {
			last = b[j].last
		}
		if first.Compare(last) <= 0 {
			out = append(out, span[T]{first, last})
		}
		if a[i].last.Compare(b[j].last) < 0 {
			i++
		} else {
			j++
		}
	}
	return out
}

// overlaps says whether any value is in both sets.
func (a spans[T]) overlaps(b spans[T]) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 8 && len(b) > 64 { // looking each up is quicker than walking along
		return slices.ContainsFunc(a, func(s span[T]) bool {
			i, _ := slices.BinarySearchFunc(b, s.first, func(t span[T], first T) int { return t.last.Compare(first) })
			return i < len(b) && b[i].first.Compare(s.last) <= 0
		})
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i].last.Compare(b[j].first) < 0:
			i++
		case b[j].last.Compare(a[i].first) < 0:
			j++
		default:
			return true
		}
	}
	return false
}

func (a spans[T]) minus(b spans[T]) spans[T] {
	var out spans[T]
	next := 0 // the first hole that does not end before what is left
	for _, rest := range a {
		for next < len(b) && b[next].last.Compare(rest.first) < 0 {
			next++
		}
		gone := false
		for _, hole := range b[next:] {
			if hole.first.Compare(rest.last) > 0 {
				break
			}
			if rest.first.Compare(hole.first) < 0 {
				out = append(out, span[T]{rest.first, hole.first.Prev()})
			}
			if gone = hole.last.Compare(rest.last) >= 0; gone {
				break
			}
			rest.first = hole.last.Next()
		}
		if !gone {
			out = append(out, rest)
		}
	}
	return out
}

func (a spans[T]) contains(value T) bool {
	i, _ := slices.BinarySearchFunc(a, value, func(s span[T], value T) int { return s.last.Compare(value) })
	return i < len(a) && a[i].first.Compare(value) <= 0
}

// Addresses is a set of addresses of either family.
type Addresses struct{ of spans[netip.Addr] }

// AllAddresses is every address of both families.
func AllAddresses() Addresses { return allAddresses }

// Sets are never changed once they are made, so that these can be shared.
var (
	allAddresses = PrefixAddresses(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))
	allPorts     = func() Ports {
		all := Ports{union(span[Port]{})}
		for _, protocol := range protocols[1:] {
			all = all.Union(PortRange(protocol, 1, 65535))
		}
		return all
	}()
)

// PrefixAddresses is every address of some ranges.
func PrefixAddresses(prefixes ...netip.Prefix) Addresses {
	list := make([]span[netip.Addr], 0, len(prefixes))
	for _, prefix := range prefixes {
		list = append(list, span[netip.Addr]{prefix.Masked().Addr(), lastOf(prefix)})
	}
	return Addresses{union(list...)}
}

// SingleAddresses is the given addresses.
func SingleAddresses(addresses ...netip.Addr) Addresses {
	list := make([]span[netip.Addr], 0, len(addresses))
	for _, address := range addresses {
		list = append(list, span[netip.Addr]{address.Unmap(), address.Unmap()})
	}
	return Addresses{union(list...)}
}

// lastOf returns the highest address of a range.
func lastOf(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// Intersect returns the addresses that are in both sets.
func (a Addresses) Intersect(b Addresses) Addresses { return Addresses{a.of.intersect(b.of)} }

// Minus returns the addresses that are not in b.
func (a Addresses) Minus(b Addresses) Addresses { return Addresses{a.of.minus(b.of)} }

// IsEmpty says whether there is no address in the set.
func (a Addresses) IsEmpty() bool { return len(a.of) == 0 }

// Contains says whether an address is in the set.
func (a Addresses) Contains(address netip.Addr) bool {
	return a.of.contains(address.Unmap().WithZone(""))
}

// Example returns the lowest address, but not the one that a range is named after if there is
// another: people take that for a network.
func (a Addresses) Example() netip.Addr {
	if s := a.of[0]; s.first != s.last {
		return s.first.Next()
	}
	return a.of[0].first
}

// Port is a port of a protocol. The zero value stands for a protocol that has none, such as ICMP,
// which only a rule without ports allows.
type Port struct{ position uint32 }

var protocols = []corev1.Protocol{"", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}

// PortOf returns a port; without a protocol, of TCP, as in NetworkPolicy.
func PortOf(protocol corev1.Protocol, number int32) Port {
	i := max(0, slices.Index(protocols, kube.Protocol(protocol)))
	return Port{uint32(i)<<16 | uint32(number)&0xffff}
}

// Compare orders ports by protocol and number.
func (p Port) Compare(q Port) int { return int(p.position) - int(q.position) }

// Next is the port above; there may be none with this number.
func (p Port) Next() Port { return Port{p.position + 1} }

// Prev is the port below; there may be none with this number.
func (p Port) Prev() Port { return Port{p.position - 1} }

// Protocol of the port, empty for one without ports.
func (p Port) Protocol() corev1.Protocol { return protocols[p.position>>16] }

// Number of the port.
func (p Port) Number() int32 { return int32(p.position & 0xffff) }

// Ports is a set of ports.
type Ports struct{ of spans[Port] }

// AllPorts is every port of every protocol, and protocols without ports.
func AllPorts() Ports { return allPorts }

// PortRange is the ports of a protocol from first to last.
func PortRange(protocol corev1.Protocol, first, last int32) Ports {
	if first, last = max(first, 1), min(last, 65535); first > last {
		return Ports{}
	}
	return Ports{union(span[Port]{PortOf(protocol, first), PortOf(protocol, last)})}
}

// Union returns the ports that are in either set.
func (a Ports) Union(b Ports) Ports { return Ports{union(slices.Concat(a.of, b.of)...)} }

// Intersect returns the ports that are in both sets.
func (a Ports) Intersect(b Ports) Ports { return Ports{a.of.intersect(b.of)} }

// Minus returns the ports that are not in b.
func (a Ports) Minus(b Ports) Ports { return Ports{a.of.minus(b.of)} }

// IsEmpty says whether there is no port in the set.
func (a Ports) IsEmpty() bool { return len(a.of) == 0 }

// Contains says whether a port is in the set.
func (a Ports) Contains(port Port) bool { return a.of.contains(port) }

// Spans calls yield with the first and last port of each run of ports.
func (a Ports) Spans(yield func(first, last Port) bool) {
	for _, s := range a.of {
		if !yield(s.first, s.last) {
			return
		}
	}
}
