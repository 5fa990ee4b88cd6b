package bind_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/nft"
)

func addresses(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func port(name string, index int, there ...string) bind.Port {
	return bind.Port{Name: name, Index: index, MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(index)}, Addresses: addresses(there...)}
}

func pod(name string, given ...string) bind.Pod {
	return bind.Pod{Name: name, Addresses: addresses(given...)}
}

// got is what ports are bound to, in a form that is easy to read.
func got(b bind.Bindings) map[string][]string {
	out := map[string][]string{}
	for name, binding := range b {
		out[name] = []string{binding.Pod, binding.MAC}
		for _, a := range binding.Addresses {
			out[name] = append(out[name], a.String())
		}
	}
	return out
}

func TestBind(t *testing.T) {
	const mac1, mac2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
	victim := bind.Binding{Index: 1, Pod: "x/victim", MAC: mac1, Addresses: addresses("10.0.0.1")}
	for _, test := range []struct {
		name   string
		before bind.Bindings
		ports  []bind.Port
		pods   []bind.Pod
		own    []netip.Addr
		want   map[string][]string
	}{
		{
			name: "what is given and there, and the link-local address", ports: []bind.Port{port("v1", 1, "10.0.0.1", "fd00::1", "fe80::1")},
			pods: []bind.Pod{pod("x/a", "10.0.0.1", "fd00::1", "10.0.0.9")},
			want: map[string][]string{"v1": {"x/a", mac1, "10.0.0.1", "fd00::1", "fe80::1"}},
		},
		{
			name: "what nobody gave is not bound", ports: []bind.Port{port("v1", 1, "10.0.0.1", "198.51.100.7")},
			pods: []bind.Pod{pod("x/a", "10.0.0.1")}, want: map[string][]string{"v1": {"x/a", mac1, "10.0.0.1"}},
		},
		{
			name: "nobody is known", ports: []bind.Port{port("v1", 1, "10.0.0.1")}, want: map[string][]string{},
		},
		{
			name: "a thief that took its neighbour's address later", before: bind.Bindings{"v1": victim},
			ports: []bind.Port{port("v1", 1, "10.0.0.1"), port("v2", 2, "10.0.0.1", "10.0.0.2")},
			pods:  []bind.Pod{pod("x/thief", "10.0.0.2"), pod("x/victim", "10.0.0.1")},
			want:  map[string][]string{"v1": {"x/victim", mac1, "10.0.0.1"}, "v2": {"x/thief", mac2, "10.0.0.2"}},
		},
		{
			name: "a thief that waits for its neighbour", before: bind.Bindings{"v1": {Index: 1, Pod: "x/thief", MAC: mac1, Addresses: addresses("10.0.0.1")}},
			ports: []bind.Port{port("v1", 1, "10.0.0.2", "10.0.0.1"), port("v2", 2, "10.0.0.2")},
			pods:  []bind.Pod{pod("x/thief", "10.0.0.1"), pod("x/victim", "10.0.0.2")},
			want:  map[string][]string{"v1": {"x/thief", mac1, "10.0.0.1"}, "v2": {"x/victim", mac2, "10.0.0.2"}},
		},
		{
			name:  "a thief that has no port yet and waits for the next pod",
			ports: []bind.Port{port("v1", 1, "10.0.0.2", "10.0.0.1"), port("v2", 2, "10.0.0.2")},
			pods:  []bind.Pod{pod("x/victim", "10.0.0.2")},
			want:  map[string][]string{},
		},
		{
			name:  "a thief that shows its neighbour's address before its own, and came later",
			ports: []bind.Port{port("v1", 1, "10.0.0.2"), port("v2", 2, "10.0.0.2", "10.0.0.1")},
			pods:  []bind.Pod{pod("x/thief", "10.0.0.1"), pod("x/victim", "10.0.0.2")},
			want:  map[string][]string{"v1": {"x/victim", mac1, "10.0.0.2"}, "v2": {"x/thief", mac2, "10.0.0.1"}},
		},
		{
			name:  "a thief that shows its neighbour's address after its own",
			ports: []bind.Port{port("v1", 1, "10.0.0.1", "10.0.0.2"), port("v2", 2, "10.0.0.2")},
			pods:  []bind.Pod{pod("x/thief", "10.0.0.1"), pod("x/victim", "10.0.0.2")},
			want:  map[string][]string{"v1": {"x/thief", mac1, "10.0.0.1"}, "v2": {"x/victim", mac2, "10.0.0.2"}},
		},
		{
			name: "another MAC later", before: bind.Bindings{"v1": {Index: 1, Pod: "x/a", MAC: mac2, Addresses: addresses("10.0.0.1")}},
			ports: []bind.Port{port("v1", 1, "10.0.0.1")}, pods: []bind.Pod{pod("x/a", "10.0.0.1")},
			want: map[string][]string{"v1": {"x/a", mac2, "10.0.0.1"}},
		},
		{
			name: "another address that was given later", before: bind.Bindings{"v1": victim},
			ports: []bind.Port{port("v1", 1, "10.0.0.1", "fd00::1")}, pods: []bind.Pod{pod("x/victim", "10.0.0.1", "fd00::1")},
			want: map[string][]string{"v1": {"x/victim", mac1, "10.0.0.1", "fd00::1"}},
		},
		{
			name: "a pod that is gone keeps its port", before: bind.Bindings{"v1": victim}, ports: []bind.Port{port("v1", 1)},
			want: map[string][]string{"v1": {"x/victim", mac1, "10.0.0.1"}},
		},
		{
			name: "its address is another's", before: bind.Bindings{"v1": victim},
			ports: []bind.Port{port("v1", 1, "10.0.0.1"), port("v2", 2, "10.0.0.1")}, pods: []bind.Pod{pod("x/b", "10.0.0.1")},
			want: map[string][]string{"v1": {"x/victim", mac1}, "v2": {"x/b", mac2, "10.0.0.1"}},
		},
		{
			name: "a port that is gone", before: bind.Bindings{"v1": victim}, want: map[string][]string{},
		},
		{
			name: "another port of the same name", before: bind.Bindings{"v1": victim}, ports: []bind.Port{port("v1", 2, "10.0.0.2")},
			pods: []bind.Pod{pod("x/b", "10.0.0.2")}, want: map[string][]string{"v1": {"x/b", mac2, "10.0.0.2"}},
		},
		{
			name: "what a table was left with", before: bind.Bindings{"v1": {MAC: mac1, Addresses: addresses("10.0.0.1")}},
			ports: []bind.Port{port("v1", 1, "10.0.0.1"), port("v2", 2, "10.0.0.1", "10.0.0.2")},
			pods:  []bind.Pod{pod("x/thief", "10.0.0.2"), pod("x/victim", "10.0.0.1")},
			want:  map[string][]string{"v1": {"x/victim", mac1, "10.0.0.1"}, "v2": {"x/thief", mac2, "10.0.0.2"}},
		},
		{
			name: "the node's own address", ports: []bind.Port{port("v1", 1, "10.0.0.254", "10.0.0.1", "fe80::1")},
			pods: []bind.Pod{pod("x/a", "10.0.0.1", "10.0.0.254")}, own: addresses("10.0.0.254", "fe80::1"),
			want: map[string][]string{"v1": {"x/a", mac1, "10.0.0.1"}},
		},
		{
			name: "another's link-local address", before: bind.Bindings{"v1": {Index: 1, Pod: "x/a", MAC: mac1, Addresses: addresses("10.0.0.1", "fe80::1")}},
			ports: []bind.Port{port("v1", 1), port("v2", 2, "10.0.0.2", "fe80::1")}, pods: []bind.Pod{pod("x/a", "10.0.0.1"), pod("x/b", "10.0.0.2")},
			want: map[string][]string{"v1": {"x/a", mac1, "10.0.0.1", "fe80::1"}, "v2": {"x/b", mac2, "10.0.0.2"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, got(bind.Bind(test.before, test.ports, test.pods, test.own))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// No address is ever bound to two ports, nor one that nobody was given, whatever pods have inside.
func TestNoAddressIsOfTwoPorts(t *testing.T) {
	all := addresses("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2", "fe80::1", "fe80::2")
	some := rapid.SliceOfDistinct(rapid.SampledFrom(all), func(a netip.Addr) string { return a.String() })
	rapid.Check(t, func(t *rapid.T) {
		var before bind.Bindings
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			var ports []bind.Port
			var pods []bind.Pod
			given := map[netip.Addr]bool{}
			for i := range rapid.IntRange(0, 4).Draw(t, "ports") {
				p := port("v"+string(rune('0'+i)), i+1)
				p.Addresses = some.Draw(t, "inside")
				ports = append(ports, p)
			}
			for i := range rapid.IntRange(0, 4).Draw(t, "pods") {
				p := bind.Pod{Name: "x/" + string(rune('a'+i))}
				for _, a := range some.Draw(t, "given") {
					if !a.IsLinkLocalUnicast() {
						p.Addresses, given[a] = append(p.Addresses, a), true
					}
				}
				pods = append(pods, p)
			}
			bound := bind.Bind(before, ports, pods, nil)
			if again := bind.Bind(bound, ports, pods, nil); !cmp.Equal(got(bound), got(again)) {
				t.Fatalf("not the same again:\n%s", cmp.Diff(got(bound), got(again)))
			}
			holder := map[netip.Addr]string{}
			for name, b := range bound {
				for _, a := range b.Addresses {
					if other := holder[a]; other != "" {
						t.Fatalf("%s is of %s and of %s: %v", a, name, other, got(bound))
					}
					holder[a] = name
					if !given[a] && !a.IsLinkLocalUnicast() && !slices.Contains(before[name].Addresses, a) {
						t.Fatalf("%s of %s was given to nobody: %v", a, name, got(bound))
					}
				}
			}
			before = bound
		}
	})
}

// Only names that need no care are written.
func TestOddNamesStayUnbound(t *testing.T) {
	pods := []bind.Pod{pod("x/a", "10.0.0.1"), pod("x/b", "10.0.0.2")}
	table := bind.Table(bind.Bind(nil, []bind.Port{port("v1", 1, "10.0.0.1"), port(`v" accept`, 2, "10.0.0.2")}, pods, nil), nil, []string{"a*"})
	if want := map[string]nft.Element{`"v1"`: {Value: "goto port-v1"}}; !cmp.Equal(table.Sets["ports"].Elements, want) || len(table.Sets["others"].Elements) != 0 {
		t.Errorf("got %v and %v", table.Sets["ports"].Elements, table.Sets["others"].Elements)
	}
}
