package report

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRangesAreWithinWiderOnes(t *testing.T) {
	for _, test := range []struct {
		name, wider string
		want        bool
	}{
		{"10.1.0.0/16", "10.0.0.0/8", true},
		{"10.0.0.0/8", "10.1.0.0/16", false},
		{"10.0.0.0/8", "10.0.0.0/8", false},
		{"10.0.0.7-10.0.0.9", "10.0.0.0/28", true},
		{"10.0.0.0/8", "any IPv4 address", true},
		{"10.0.0.0/8", "any IPv6 address", false},
		{"2001:db8::/32", "any IPv6 address", true},
		{"10.0.0.0/8", "internet", false},
		{"8.8.8.0/24", "internet", true},
		{"internet", AnyAddress, true},
		{Elsewhere, AnyAddress, false},
		{Elsewhere, Everyone, true},
		{"shop/web", Everyone, false},
	} {
		if got := isWithin(test.name, test.wider); got != test.want {
			t.Errorf("%s is within %s: %t, want %t", test.name, test.wider, got, test.want)
		}
	}
}

// A matrix has ports in letters once they do not fit otherwise, and says so if that is not enough.
func TestMatrixFits(t *testing.T) {
	m := Map{Edges: []Edge{
		{From: []string{"shop/web"}, To: []string{"shop/api"}, Ports: []string{"TCP 8080", "UDP 53", "TCP 9090"}},
		{From: []string{AnyAddress}, To: []string{"shop/web"}, Ports: []string{"TCP", "UDP", "SCTP"}},
	}}
	for _, test := range []struct {
		width      int
		want, fail string
	}{
		{0, "8080,53/UDP,9090", ""},
		{80, "8080,53/UDP,9090", ""},
		{30, "a      8080,53/UDP,9090", ""},
		{20, "", "the matrix needs 21 columns and has 20: "},
	} {
		var out strings.Builder
		err := WriteMapMatrix(&out, m, test.width)
		if !strings.Contains(out.String(), test.want) || (err != nil) != (test.fail != "") || err != nil && !strings.HasPrefix(err.Error(), test.fail) {
			t.Errorf("with %d columns: %v\n%s", test.width, err, out.String())
		}
		for _, line := range strings.Split(strings.Split(out.String(), "\n\n")[0], "\n") {
			if test.width > 0 && len(line) > test.width {
				t.Errorf("more than %d columns: %s", test.width, line)
			}
		}
	}
}

// Around somebody are those some connections away, but not by way of the internet.
func TestFocusIsOnWhoIsAround(t *testing.T) {
	edge := func(from, to string) Edge { return Edge{From: []string{from}, To: []string{to}} }
	m := Map{
		Edges: []Edge{
			edge("a/one", "a/two"), edge("a/two", "a/three"), edge("a/three", "a/four"),
			edge(internet, "a/two"), edge(internet, "a/other"),
		},
		Open:   []Open{{Name: "a/four"}},
		Denied: []Pairs{{From: []string{"namespace a"}, To: []string{"namespace b"}}, {From: []string{"b/x"}, To: []string{"b/y"}}},
	}
	for around, want := range map[int]string{1: "0", 2: "0 1 3", 3: "0 1 2 3", 9: "0 1 2 3"} {
		got := m.Focus("one", around)
		var shown []string
		for i, e := range m.Edges {
			if slices.ContainsFunc(got.Edges, func(o Edge) bool { return o.From[0] == e.From[0] && o.To[0] == e.To[0] }) {
				shown = append(shown, strconv.Itoa(i))
			}
		}
		if strings.Join(shown, " ") != want || len(got.Denied) != 1 || len(got.Open) != max(0, min(1, around-3)) {
			t.Errorf("around %d: %v, want %s, denied %v, not isolated %v", around, shown, want, got.Denied, got.Open)
		}
	}
}

// Namespaces of which none may reach any of the other are one pair.
func TestDeniedPairsOfNamespaces(t *testing.T) {
	names := []string{"a/one", "a/two", "b/one", "b/two", AnyAddress}
	got := PairsOf(names, func(p Pair) bool {
		return p.From == AnyAddress && p.To != "b/two" || strings.HasPrefix(p.From, "a/") && strings.HasPrefix(p.To, "b/") || p.From == "b/one" && p.To == "a/two"
	})
	want := []Pairs{
		{From: []string{AnyAddress}, To: []string{"namespace a", "b/one"}},
		{From: []string{"b/one"}, To: []string{"a/two"}},
		{From: []string{"namespace a"}, To: []string{"namespace b"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("denied (-want +got):\n%s", diff)
	}
}
