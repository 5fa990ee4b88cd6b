package compile

import (
	"cmp"
	"net/netip"
	"slices"
)

// span is an inclusive range of addresses of one family.
type span struct{ first, last netip.Addr }

// String returns the range as nft reads it in an interval set.
func (s span) String() string {
	if s.first == s.last {
		return s.first.String()
	}
	return s.first.String() + "-" + s.last.String()
}

func (s span) contains(a netip.Addr) bool {
	return a.BitLen() == s.first.BitLen() && !a.Less(s.first) && !s.last.Less(a)
}

func spanOf(prefix netip.Prefix) span {
	first := prefix.Masked().Addr()
	last := first.AsSlice()
	for bit := prefix.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	end, _ := netip.AddrFromSlice(last)
	return span{first, end}
}

// prefixes returns the fewest prefixes that hold the same addresses; none for the zero span.
func (s span) prefixes() []netip.Prefix {
	var out []netip.Prefix
	for from := s.first; from.IsValid() && !s.last.Less(from); {
		bits := from.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(from, bits-1)
			if wider.Masked().Addr() != from || s.last.Less(spanOf(wider).last) {
				break
			}
			bits--
		}
		prefix := netip.PrefixFrom(from, bits)
		out = append(out, prefix)
		from = spanOf(prefix).last.Next()
	}
	return out
}

// union sorts ranges of one family and joins those that overlap or touch: an interval set refuses
// overlapping elements.
func union(spans []span) []span {
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b span) int {
		return cmp.Or(a.first.Compare(b.first), a.last.Compare(b.last))
	})
	var out []span
	for _, s := range sorted {
		if n := len(out); n > 0 && touches(out[n-1], s) {
			if out[n-1].last.Less(s.last) {
				out[n-1].last = s.last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// touches says whether b, which does not start before a, leaves no gap after a.
func touches(a, b span) bool {
	next := a.last.Next()
	return !next.IsValid() || !next.Less(b.first)
}

// subtract returns the parts of s outside of all holes.
func subtract(s span, holes []span) []span {
	var out []span
	rest := s
	for _, hole := range union(holes) {
		if hole.last.Less(rest.first) || rest.last.Less(hole.first) {
			continue
		}
		if rest.first.Less(hole.first) {
			out = append(out, span{rest.first, hole.first.Prev()})
		}
		if !hole.last.Less(rest.last) {
			return out
		}
		rest.first = hole.last.Next()
	}
	return append(out, rest)
}
