package expr_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// The text is what the nft program reads, and what people see of a table.
func TestText(t *testing.T) {
	for want, rule := range map[string]expr.List{
		"accept":                                                    {expr.Accept},
		"counter name denied drop":                                  {expr.Counter{Name: "denied"}, expr.Drop},
		"ct state invalid,untracked jump x":                         {expr.Untracked | expr.Invalid, expr.Jump("x")},
		"ct state established,related,new":                          {expr.New | expr.Established | expr.Related},
		"meta l4proto != udp goto x":                                {expr.Transport{Protocol: expr.UDP, Not: true}, expr.GoTo("x")},
		"meta l4proto 89":                                           {expr.Of(89)},
		"icmpv6 type 135-136":                                       {expr.ICMPv6Type{First: 135, Last: 136}},
		"icmpv6 type 137 ip6 hoplimit 255":                          {expr.ICMPv6Type{First: 137, Last: 137}, expr.HopLimit{Hops: 255}},
		"ct mark & 0xffff0000 == 0x00070000":                        {expr.MarkIs{Mask: 0xffff0000, Value: 7 << 16}},
		"ct mark set ct mark & 0x0000ffff | 0x00070000":             {expr.SetMark{Keep: 0xffff, Value: 7 << 16}},
		`meta iifkind "veth" meta oifkind "bridge"`:                 {expr.LinkKind{Kind: "veth"}, expr.LinkKind{Out: true, Kind: "bridge"}},
		"ether type arp arp saddr ip 0.0.0.0":                       {expr.EtherType{Network: expr.ARP}, expr.Address{Field: expr.ARPSenderIP, Address: netip.IPv4Unspecified()}},
		"fib saddr . iif oif missing":                               {expr.RouteMissing{}},
		"fib daddr type broadcast":                                  {expr.ToKind{Kind: expr.Broadcast}},
		"ip hdrlength != 5 fib daddr type local":                    {expr.Options{}, expr.ToKind{Kind: expr.Local}},
		"exthdr rt exists ip6 length > 32":                          {expr.RoutingHeader{}, expr.LongerThan{Bytes: 32}},
		"@th,64,16 0x0101 @th,80,8 != 0xff":                         {expr.Raw{Offset: 8, Bytes: "\x01\x01"}, expr.Raw{Offset: 10, Not: true, Bytes: "\xff"}},
		"meta l4proto tcp ct reply proto-src 80-90":                 {expr.Of(expr.TCP), expr.Port{Field: expr.ReplyPort, First: 80, Last: 90}},
		"ct reply ip saddr . ct reply proto-src != @s":              {expr.NotIn("s", expr.ReplySource4, expr.ReplyPort)},
		"ct original ip6 saddr vmap @m":                             {expr.By("m", expr.OriginalSource6)},
		"ct direction original ct direction reply":                  {expr.Original, expr.Reply},
		"ip saddr . meta l4proto . th sport != @s":                  {expr.NotIn("s", expr.Source4, expr.TransportProtocol, expr.TransportSource)},
		"update @s { ip saddr . th dport counter }":                 {expr.Count("s", expr.Source4, expr.TransportDestination)},
		"update @s { iifname limit rate 5/second burst 9 packets }": {expr.Within(expr.Limit{Packets: 5, Per: time.Second, Burst: 9}, "s", expr.InName)},
		"update @s { oifname limit rate 1/minute burst 2 packets }": {expr.Within(expr.Limit{Packets: 1, Per: time.Minute, Burst: 2}, "s", expr.OutName)},
		"iifname . ether saddr . ip saddr @bound":                   {expr.In("bound", expr.InName, expr.EtherSource, expr.Source4)},
	} {
		if got := rule.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Elements of maps have their verdicts as text, which means the same when it is read again.
func TestAVerdictIsReadAsItWasWritten(t *testing.T) {
	for _, verdict := range []expr.Verdict{expr.Accept, expr.Drop, expr.Jump("a-chain"), expr.GoTo("drop"), {}} {
		if got := expr.ParseVerdict(verdict.String()); got != verdict {
			t.Errorf("%q is read as %q", verdict, got)
		}
	}
	for _, text := range []string{"accept ", "continue", "jump", "goto a b", "return", "accept goto x"} {
		if got := expr.ParseVerdict(text); got != (expr.Verdict{}) {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}

// More fields than a key can have are a mistake of whoever writes the rule.
func TestAKeyHasAFewFields(t *testing.T) {
	if got := expr.In("s", expr.Source4, expr.Destination4).Fields(); len(got) != 2 || got[1] != expr.Destination4 {
		t.Errorf("got %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("five fields are looked up")
		}
	}()
	expr.In("s", expr.InName, expr.EtherSource, expr.Source4, expr.Destination4, expr.TransportProtocol)
}
