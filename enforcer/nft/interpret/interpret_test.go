package interpret_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/interpret"
)

var (
	one, two = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	plain    = interpret.Packet{
		Network: expr.IPv4, Source: one, Destination: two, Protocol: expr.TCP, State: expr.New, Mark: 0xff,
		Initiator: interpret.Socket{Address: one, Port: 40000}, Server: interpret.Socket{Address: two, Port: 80},
		In: interpret.Link{Name: "eth0", Kind: "veth"},
	}
)

func base(policy knftables.BaseChainPolicy, rules ...nft.Rule) nft.Chain {
	return nft.Chain{Base: &nft.Base{Hook: nft.ForwardHook, Priority: nft.FilterPriority, Policy: policy}, Rules: rules}
}

// Verdicts lead a packet as nft(8) says.
func TestWhereVerdictsLead(t *testing.T) {
	to := expr.By("map", expr.ReplySource4)
	for _, test := range []struct {
		name     string
		rules    []nft.Rule
		policy   knftables.BaseChainPolicy
		accepted bool
		chain    string
	}{
		{"nothing decides", nil, knftables.DropPolicy, false, "base"},
		{"an end is come to", []nft.Rule{nft.RuleOf(expr.Jump("empty"))}, knftables.AcceptPolicy, true, "base"},
		{"a jump comes back", []nft.Rule{nft.RuleOf(expr.Jump("empty")), nft.RuleOf(expr.Drop)}, knftables.AcceptPolicy, false, "base"},
		{"a goto does not", []nft.Rule{nft.RuleOf(expr.GoTo("empty")), nft.RuleOf(expr.Drop)}, knftables.AcceptPolicy, true, "base"},
		{"a goto within a jump comes back to who jumped", []nft.Rule{nft.RuleOf(expr.Jump("away")), nft.RuleOf(expr.Drop)}, knftables.AcceptPolicy, false, "base"},
		{"a map decides", []nft.Rule{nft.RuleOf(to), nft.RuleOf(expr.Drop)}, knftables.AcceptPolicy, true, "accepts"},
		{"a rule that does not match has no verdict", []nft.Rule{nft.RuleOf(expr.Of(expr.UDP), expr.Drop)}, knftables.AcceptPolicy, true, "base"},
	} {
		table := nft.Table{
			Chains: map[string]nft.Chain{
				"base": base(test.policy, test.rules...), "empty": {}, "away": {Rules: []nft.Rule{nft.RuleOf(expr.GoTo("empty")), nft.RuleOf(expr.Accept)}},
				"accepts": {Rules: []nft.Rule{nft.RuleOf(expr.Counter{Name: "n"}, expr.Accept)}},
			},
			Sets: map[string]nft.Set{"map": {Key: "ipv4_addr", Value: "verdict", Elements: map[string]nft.Element{"10.0.0.2": {Value: "goto accepts"}}}},
		}
		got := run(t, table, plain)
		if got.Accepted != test.accepted || got.Chain != test.chain || (len(got.Counters) > 0) != (test.chain == "accepts") {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

func run(t *testing.T, table nft.Table, p interpret.Packet) interpret.Result {
	t.Helper()
	rules, err := interpret.New(table)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rules.Run("base", p)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// What a packet does not have, no rule matches: not even one that asks for something else.
func TestMatches(t *testing.T) {
	with := func(change func(*interpret.Packet)) interpret.Packet {
		p := plain
		change(&p)
		return p
	}
	v6 := with(func(p *interpret.Packet) {
		p.Network, p.Source, p.Protocol, p.ICMPv6Type, p.Payload = expr.IPv6, netip.IPv6Unspecified(), expr.ICMPv6, 135, "\x87\x00\x01"
		p.HopLimit, p.Length, p.RoutingHeader = 255, 24, true
		p.Initiator.Address = netip.IPv6Unspecified()
	})
	for _, test := range []struct {
		rule    expr.List
		packet  interpret.Packet
		matches bool
	}{
		{expr.List{expr.In("v4", expr.Source4)}, plain, true},
		{expr.List{expr.NotIn("v4", expr.Source4)}, plain, false},
		{expr.List{expr.In("v4", expr.Source4)}, v6, false},
		{expr.List{expr.NotIn("v4", expr.Source4)}, v6, false},
		{expr.List{expr.NotIn("v4", expr.OriginalSource4)}, v6, false},
		{expr.List{expr.In("ranges", expr.Destination4)}, plain, true},
		{expr.List{expr.In("ranges", expr.Source4)}, plain, false},
		{expr.List{expr.In("names", expr.InName)}, plain, true},
		{expr.List{expr.NotIn("names", expr.OutName)}, plain, false},
		{expr.List{expr.In("pairs", expr.ReplySource4, expr.ReplyPort)}, plain, true},
		{expr.List{expr.Port{Field: expr.ReplyPort, First: 80, Last: 90}}, plain, true},
		{expr.List{expr.Port{Field: expr.UDPDestination, First: 0, Last: 65535}}, plain, false},
		{expr.List{expr.Address{Field: expr.Source6, Address: netip.IPv6Unspecified()}}, v6, true},
		{expr.List{expr.Transport{Protocol: expr.UDP, Not: true}}, plain, true},
		{expr.List{expr.ICMPv6Type{First: 135, Last: 136}}, v6, true},
		{expr.List{expr.HopLimit{Hops: 255}, expr.LongerThan{Bytes: 23}, expr.RoutingHeader{}}, v6, true},
		{expr.List{expr.LongerThan{Bytes: 24}}, v6, false},
		{expr.List{expr.Raw{Offset: 1, Bytes: "\x00\x01"}}, v6, true},
		{expr.List{expr.Raw{Offset: 1, Not: true, Bytes: "\x00\x02"}}, v6, true},
		{expr.List{expr.Raw{Offset: 2, Not: true, Bytes: "\x00\x02"}}, v6, false}, // it ends before
		{expr.List{expr.MarkIs{Mask: 0xf, Value: 0xf}}, plain, true},
		{expr.List{expr.MarkIs{Mask: 0xf, Value: 0xf}}, with(func(p *interpret.Packet) { p.State = expr.Untracked }), false},
		{expr.List{expr.Established | expr.New}, plain, true},
		{expr.List{expr.Related}, plain, false},
		{expr.List{expr.LinkKind{Kind: "veth"}}, plain, true},
		{expr.List{expr.LinkKind{Out: true, Kind: "veth"}}, plain, false},
		{expr.List{expr.Options{}}, with(func(p *interpret.Packet) { p.Options = true }), true},
		{expr.List{expr.RouteMissing{}}, with(func(p *interpret.Packet) { p.NoRouteBack = true }), true},
		{expr.List{expr.ToKind{Kind: expr.Broadcast}}, with(func(p *interpret.Packet) { p.To = expr.Broadcast }), true},
		{expr.List{expr.EtherType{Network: expr.ARP}, expr.In("v4", expr.ARPSenderIP)}, with(func(p *interpret.Packet) { p.Network = expr.ARP }), true},
	} {
		table := nft.Table{
			Chains: map[string]nft.Chain{"base": base(knftables.DropPolicy, nft.RuleOf(append(slices.Clone(test.rule), expr.Accept)...))},
			Sets: map[string]nft.Set{
				"v4":     {Key: "ipv4_addr", Elements: map[string]nft.Element{"10.0.0.1": {}}},
				"ranges": {Key: "ipv4_addr", Interval: true, Elements: map[string]nft.Element{"10.0.0.2-10.0.0.9": {}, "10.0.1.0": {}}},
				"names":  {Key: "ifname", Elements: map[string]nft.Element{`"eth0"`: {}}},
				"pairs":  {Key: "ipv4_addr . inet_service", Elements: map[string]nft.Element{nft.Key("10.0.0.2", "80"): {}}},
			},
		}
		if got := run(t, table, test.packet); got.Accepted != test.matches {
			t.Errorf("%s: matches %v, want %v", test.rule, got.Accepted, test.matches)
		}
	}
}

// The mark that a connection has afterwards keeps the bits that are kept.
func TestSetMark(t *testing.T) {
	table := nft.Table{Chains: map[string]nft.Chain{"base": base(knftables.AcceptPolicy, nft.RuleOf(expr.SetMark{Keep: 0x0f, Value: 0x100}, expr.Accept))}}
	if got := run(t, table, plain); got.Mark != 0x10f {
		t.Errorf("got %#x", got.Mark)
	}
}

// The ports of a result are all those with which the same rules match.
func TestServerPorts(t *testing.T) {
	tcp := expr.Of(expr.TCP)
	for _, test := range []struct {
		rule expr.List
		want interpret.Ports
	}{
		{expr.List{expr.Of(expr.UDP), expr.Port{Field: expr.ReplyPort, First: 1, Last: 2}, expr.Drop}, interpret.Ports{First: 0, Last: 65535}},
		{expr.List{tcp, expr.Port{Field: expr.ReplyPort, First: 70, Last: 90}, expr.Drop}, interpret.Ports{First: 70, Last: 90}},
		{expr.List{tcp, expr.Port{Field: expr.ReplyPort, First: 443, Last: 443}, expr.Drop}, interpret.Ports{First: 0, Last: 442}},
		{expr.List{tcp, expr.Port{Field: expr.ReplyPort, First: 1, Last: 79}, expr.Drop}, interpret.Ports{First: 80, Last: 65535}},
		{expr.List{tcp, expr.In("ranges", expr.ReplyPort), expr.Drop}, interpret.Ports{First: 54, Last: 99}},
		{expr.List{tcp, expr.In("single", expr.ReplyPort), expr.Drop}, interpret.Ports{First: 80, Last: 80}},
		{expr.List{tcp, expr.In("pairs", expr.ReplySource4, expr.ReplyPort), expr.Drop}, interpret.Ports{First: 54, Last: 99}},
		{expr.List{tcp, expr.In("pairs", expr.OriginalSource4, expr.ReplyPort), expr.Drop}, interpret.Ports{First: 0, Last: 65535}},
	} {
		table := nft.Table{
			Chains: map[string]nft.Chain{"base": base(knftables.AcceptPolicy, nft.RuleOf(test.rule...))},
			Sets: map[string]nft.Set{
				"ranges": {Key: "inet_service", Interval: true, Elements: map[string]nft.Element{"1-53": {}, "100": {}, "443-500": {}}},
				"single": {Key: "inet_service", Elements: map[string]nft.Element{"80": {}, "443": {}}},
				"pairs": {Key: "ipv4_addr . inet_service", Elements: map[string]nft.Element{
					nft.Key("10.0.0.2", "53"): {}, nft.Key("10.0.0.2", "100"): {}, nft.Key("10.0.0.9", "80"): {},
				}},
			},
		}
		if got := run(t, table, plain); got.ServerPorts != test.want {
			t.Errorf("%s: got %v, want %v", test.rule, got.ServerPorts, test.want)
		}
	}
}

// A table that a kernel would refuse is an error, and not an answer.
func TestWhatCannotBeRun(t *testing.T) {
	for want, table := range map[string]nft.Table{
		"no base chain base": {Chains: map[string]nft.Chain{"base": {}}},
		"no chain nowhere":   {Chains: map[string]nft.Chain{"base": base(knftables.AcceptPolicy, nft.RuleOf(expr.Jump("nowhere")))}},
		"no set nothing":     {Chains: map[string]nft.Chain{"base": base(knftables.AcceptPolicy, nft.RuleOf(expr.In("nothing", expr.Source4), expr.Drop))}},
		"16 deep": {Chains: map[string]nft.Chain{
			"base": base(knftables.AcceptPolicy, nft.RuleOf(expr.Jump("loop"))), "loop": {Rules: []nft.Rule{nft.RuleOf(expr.Jump("loop"))}},
		}},
		"no verdict": {Sets: map[string]nft.Set{"m": {Key: "ipv4_addr", Value: "verdict", Elements: map[string]nft.Element{"10.0.0.1": {Value: "perhaps"}}}}},
		"somewhere":  {Sets: map[string]nft.Set{"s": {Key: "ipv4_addr", Interval: true, Elements: map[string]nft.Element{"somewhere-10.0.0.1": {}}}}},
	} {
		rules, err := interpret.New(table)
		if err == nil {
			_, err = rules.Run("base", plain)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one with %q", err, want)
		}
	}
}
