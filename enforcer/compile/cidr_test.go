package compile

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// prefixes generates prefixes that nest and meet at the ends of the address space.
func prefixes() *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		octet := rapid.SampledFrom([]byte{0, 1, 2, 127, 128, 254, 255})
		address := netip.AddrFrom4([4]byte{octet.Draw(t, "a"), octet.Draw(t, "b"), octet.Draw(t, "c"), octet.Draw(t, "d")})
		return netip.PrefixFrom(address, rapid.IntRange(0, 32).Draw(t, "bits"))
	})
}

// Ranges hold exactly what the prefixes hold: the ends of all of them and their neighbours decide.
func TestSpansAreWhatPrefixesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks := rapid.SliceOfN(prefixes(), 1, 3).Draw(t, "blocks")
		holes := rapid.SliceOfN(prefixes(), 0, 3).Draw(t, "holes")
		var holeSpans, spans []span
		for _, h := range holes {
			holeSpans = append(holeSpans, spanOf(h))
		}
		var probes []netip.Addr
		for _, p := range slices.Concat(blocks, holes) {
			s := spanOf(p)
			probes = append(probes, s.first, s.last, s.first.Prev(), s.last.Next())
		}
		for _, b := range blocks {
			spans = append(spans, subtract(spanOf(b), holeSpans)...)
		}
		spans = union(spans)
		for i := 1; i < len(spans); i++ {
			if !spans[i-1].last.Next().Less(spans[i].first) {
				t.Fatalf("%v and %v overlap or touch", spans[i-1], spans[i])
			}
		}
		for _, address := range probes {
			contains := func(p netip.Prefix) bool { return p.Contains(address) }
			within := func(s span) bool { return !address.Less(s.first) && !s.last.Less(address) }
			want := address.IsValid() && slices.ContainsFunc(blocks, contains) && !slices.ContainsFunc(holes, contains)
			if got := address.IsValid() && slices.ContainsFunc(spans, within); got != want {
				t.Fatalf("%v: got %v, want %v, in %v", address, got, want, spans)
			}
		}
	})
}

func TestGenerations(t *testing.T) {
	for g, want := range map[uint16]uint16{1: 2, 0xfffe: MaxGeneration, MaxGeneration: 1} {
		if got := NextGeneration(g); got != want {
			t.Errorf("after %d comes %d, want %d", g, got, want)
		}
	}
	for marker, want := range map[string]uint16{
		"generation 1": 1, "generation 65535": MaxGeneration,
		"generation 0": 0, "generation 65536": 0, "generation": 0, "": 0, "1": 0,
	} {
		if got, ok := ParseGeneration(marker); got != want && ok || ok != (want != 0) {
			t.Errorf("%q: got %d, %v, want %d", marker, got, ok, want)
		}
	}
}
