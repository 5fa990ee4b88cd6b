package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/kube"
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

// A range is the prefixes that it is cut into, and no less can be.
func TestASpanIsItsPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ends := []netip.Addr{prefixes().Draw(t, "one end").Addr(), prefixes().Draw(t, "other end").Addr()}
		slices.SortFunc(ends, netip.Addr.Compare)
		s := span{ends[0], ends[1]}
		var back []span
		for _, p := range s.prefixes() {
			back = append(back, spanOf(p))
		}
		if got := union(back); len(got) != 1 || got[0] != s || parseSpan(s.String()) != s {
			t.Fatalf("%v became %v", s, got)
		}
		if got := spanOf(prefixes().Draw(t, "prefix")).prefixes(); len(got) != 1 {
			t.Fatalf("a prefix became %v", got)
		}
	})
}

// IPv4 ranges that are written as IPv6 were stored before Kubernetes 1.36: to forget one among the exceptions
// would open what it takes out.
func TestABlockIsReadWhicheverWayItIsWritten(t *testing.T) {
	for _, block := range []networkingv1.IPBlock{
		{CIDR: "10.0.0.0/8", Except: []string{"10.1.0.0/16"}},
		{CIDR: "10.0.0.0/8", Except: []string{"::ffff:10.1.0.0/112"}},
		{CIDR: "::ffff:10.0.0.0/104", Except: []string{"10.1.2.3/16"}},
		{CIDR: "::ffff:a00:0/104", Except: []string{"::ffff:a01:0/112"}},
	} {
		p := peers{blocks: map[family][]span{}, blockTexts: map[family][]string{}}
		read, err := kube.ReadBlock(&block)
		if err != nil {
			t.Fatal(err)
		}
		p.addBlock(read)
		if got, want := fmt.Sprint(p.blocks), "map[4:[10.0.0.0-10.0.255.255 10.2.0.0-10.255.255.255]]"; got != want {
			t.Errorf("%v is %s, want %s", block, got, want)
		}
	}
}
