package wire_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/wire"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// The nft program is for what this package does not know: nothing that the enforcer writes.
func TestEverythingThatIsCompiledCanBeEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		generated := reachtest.Snapshot()
		before := compile.Compile(generated.Draw(t, "before"), "node-0").Table(1)
		after := compile.Compile(generated.Draw(t, "after"), "node-0").Table(compile.DefaultMark.Last())
		if err := wire.Encode("test", nil, nft.Replace(before)); err != nil {
			t.Fatal(err)
		}
		if err := wire.Encode("test", nft.Replace(before), nft.Diff(before, after)); err != nil {
			t.Fatal(err)
		}
	})
}

// The same goes for what a compiler writes down of one change after another.
func TestEveryChangeOfWhatIsCompiledCanBeEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := compile.New(agenttest.Node)
		c.MergeAbove(rapid.SampledFrom([]int{0, 1, 8}).Draw(t, "merge above"))
		world := agenttest.NewWorld(c)
		before := c.Tracker().Table().Clone()
		generation := uint16(0)
		sync := func(t *rapid.T) {
			generation = compile.DefaultMark.Next(generation)
			c.Stamp(generation)
			if err := wire.Encode("test", nft.Replace(before), c.Tracker().Steps()); err != nil {
				t.Fatal(err)
			}
			c.Tracker().Commit()
			before = c.Tracker().Table().Clone()
		}
		t.Repeat(map[string]func(*rapid.T){
			"an object changes": world.Change, "another object changes": world.Change, "sync": sync,
		})
		sync(t)
	})
}

// What is not known is said to be so, and never written as something else.
func TestWhatIsNotKnownIsNotEncoded(t *testing.T) {
	text := knftables.PtrTo[string]
	long := text(strings.Repeat("x", knftables.CommentLengthMax))
	rule := func(exprs ...expr.Expr) knftables.Object {
		return &wire.Rule{Rule: knftables.Rule{Chain: "c"}, Exprs: exprs}
	}
	tests := map[string]wire.Step{
		"a table with a flag":            {wire.Add, &knftables.Table{Flags: []knftables.TableFlag{knftables.DormantFlag}}},
		"a table that is flushed":        {wire.Flush, &knftables.Table{}},
		"a set with a timeout":           {wire.Add, &knftables.Set{Name: "s", Type: "ipv4_addr", Flags: []knftables.SetFlag{knftables.TimeoutFlag}}},
		"a set of marks":                 {wire.Add, &knftables.Set{Name: "s", Type: "mark"}},
		"a set of ranges of pairs":       {wire.Add, &knftables.Set{Name: "s", Type: "ipv4_addr . inet_service", Flags: []knftables.SetFlag{knftables.IntervalFlag}}},
		"a map of addresses":             {wire.Add, &knftables.Map{Name: "m", Type: "ipv4_addr : ipv4_addr"}},
		"a set with a long comment":      {wire.Add, &knftables.Set{Name: "s", Type: "ipv4_addr", Comment: long}},
		"a chain with a long comment":    {wire.Add, &knftables.Chain{Name: "c", Comment: long}},
		"a base chain of another hook":   {wire.Add, &knftables.Chain{Name: "c", Type: knftables.PtrTo(knftables.FilterType), Hook: knftables.PtrTo(knftables.OutputHook), Priority: knftables.PtrTo(knftables.FilterPriority)}},
		"a chain of another table":       {wire.Add, &knftables.Chain{Name: "c", Table: "other"}},
		"a rule that is inserted":        {wire.Add, &wire.Rule{Rule: knftables.Rule{Chain: "c", Index: knftables.PtrTo(1)}, Exprs: expr.List{expr.Accept}}},
		"a rule that is deleted":         {wire.Delete, rule(expr.Accept)},
		"a counter with a count":         {wire.Add, &knftables.Counter{Name: "n", Packets: knftables.PtrTo(uint64(1))}},
		"an element of an unknown set":   {wire.Add, &knftables.Element{Set: "unknown", Key: []string{"10.0.0.1"}}},
		"an element of another type":     {wire.Add, &knftables.Element{Set: "v4", Key: []string{"fd00::1"}}},
		"a range in a set without":       {wire.Add, &knftables.Element{Set: "v4", Key: []string{"10.0.0.1-10.0.0.9"}}},
		"a range from end to start":      {wire.Add, &knftables.Element{Set: "ranges", Key: []string{"10.0.0.9-10.0.0.1"}}},
		"an element with too many parts": {wire.Add, &knftables.Element{Set: "v4", Key: []string{"10.0.0.1", "80"}}},
		"an element without a verdict":   {wire.Add, &knftables.Element{Map: "verdicts", Key: []string{"10.0.0.1"}}},
		"an element with a long comment": {wire.Add, &knftables.Element{Set: "v4", Key: []string{"10.0.0.1"}, Comment: long}},
		"an element of a map as a set's": {wire.Add, &knftables.Element{Set: "verdicts", Key: []string{"10.0.0.1"}}},
	}
	isIPv4, tcp := expr.EtherType{Network: expr.IPv4}, expr.Of(expr.TCP)
	for _, exprs := range []expr.List{
		{}, {expr.Accept, expr.Accept}, {expr.Accept, expr.In("v4", expr.Source4)}, {expr.Jump("")}, {expr.Verdict{}}, {expr.Verdict{Action: expr.DropPacket, Chain: "c"}},
		{expr.In("v4", expr.Source4), expr.In("v6", expr.Source6), expr.Drop}, {expr.In("v4", expr.Source4), expr.In("v4", expr.OriginalSource4), expr.Drop},
		{expr.In("v4", expr.OriginalSource4, expr.OriginalSource6), expr.Drop}, {expr.In("v4", expr.InName, expr.Source4), expr.Drop},
		{expr.Port{Field: expr.ReplyPort, First: 80, Last: 80}, expr.Accept}, {tcp, expr.Port{Field: expr.ReplyPort, First: 90, Last: 80}, expr.Accept},
		{expr.Of(expr.ICMP), expr.Port{Field: expr.ReplyPort, First: 80, Last: 80}, expr.Accept}, {tcp, expr.Port{Field: expr.Source4, First: 80, Last: 80}},
		{expr.Lookup{Set: "v4"}}, {expr.Lookup{Keys: [expr.MostKeys]expr.Field{expr.OriginalSource4}, Set: "verdicts", Not: true, Verdict: true}},
		{expr.ICMPv6Type{First: 2, Last: 1}, expr.Accept}, {tcp, expr.ICMPv6Type{First: 1, Last: 1}, expr.Accept}, {tcp, expr.Of(expr.UDP), expr.Drop},
		{tcp, expr.In("v4", expr.UDPSource)}, {expr.Raw{Offset: 8}, expr.Drop}, {expr.Raw{Bytes: strings.Repeat("x", 17)}, expr.Drop},
		{expr.In("v6", expr.Source4), expr.Drop}, {expr.In("v4", expr.OriginalSource6), expr.Drop}, {expr.By("v4", expr.Source4)}, {expr.In("v4", expr.Field(99))},
		{isIPv4, expr.Drop}, {expr.LinkKind{Kind: "of a name that is too long"}, expr.Drop}, {expr.LinkKind{}, expr.Drop}, {expr.In("v4", expr.ARPSenderIP)},
		{expr.Address{Field: expr.Source4, Address: netip.IPv6Unspecified()}, expr.Drop}, {tcp, expr.Address{Field: expr.ReplyPort, Address: netip.IPv4Unspecified()}, expr.Drop},
		{expr.HopLimit{Hops: 1}, expr.Options{}, expr.Drop},
	} {
		tests["a rule with "+exprs.String()] = wire.Step{Verb: wire.Add, Object: rule(exprs...)}
	}
	tests["a rule in words"] = wire.Step{Verb: wire.Add, Object: &knftables.Rule{Chain: "c", Rule: "tcp dport 80 accept"}}
	sets := []wire.Step{
		{Verb: wire.Add, Object: &knftables.Set{Name: "v4", Type: "ipv4_addr"}},
		{Verb: wire.Add, Object: &knftables.Set{Name: "v6", Type: "ipv6_addr"}},
		{Verb: wire.Add, Object: &knftables.Set{Name: "ranges", Type: "ipv4_addr", Flags: []knftables.SetFlag{knftables.IntervalFlag}}},
		{Verb: wire.Add, Object: &knftables.Map{Name: "verdicts", Type: "ipv4_addr : verdict"}},
	}
	for name, step := range tests {
		t.Run(name, func(t *testing.T) {
			var unsupported *wire.UnsupportedError
			if err := wire.Encode("test", sets, []wire.Step{step}); !errors.As(err, &unsupported) || unsupported.Step != step {
				t.Errorf("got %v", err)
			}
		})
	}
}
