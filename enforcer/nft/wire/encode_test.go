package wire_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/wire"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

func steps(ops []nft.Op) []wire.Step {
	var out []wire.Step
	for _, op := range ops {
		out = append(out, wire.Step{Verb: wire.Verb(op.Verb), Object: op.Object})
	}
	return out
}

// The nft program is for what this package does not know: nothing that the enforcer writes.
func TestEverythingThatIsCompiledCanBeEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		generated := reachtest.Snapshot()
		before := compile.Compile(generated.Draw(t, "before"), "node-0").Table(1)
		after := compile.Compile(generated.Draw(t, "after"), "node-0").Table(compile.DefaultMark.Last())
		if err := wire.Encode("test", nil, steps(nft.Replace(before))); err != nil {
			t.Fatal(err)
		}
		if err := wire.Encode("test", steps(nft.Replace(before)), steps(nft.Diff(before, after))); err != nil {
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
		before := c.Journal().Table().Clone()
		generation := uint16(0)
		sync := func(t *rapid.T) {
			generation = compile.DefaultMark.Next(generation)
			c.Stamp(generation)
			if err := wire.Encode("test", steps(nft.Replace(before)), steps(c.Journal().Steps())); err != nil {
				t.Fatal(err)
			}
			c.Journal().Commit()
			before = c.Journal().Table().Clone()
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
	rule := func(expression string) knftables.Object { return &knftables.Rule{Chain: "c", Rule: expression} }
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
		"a rule that is inserted":        {wire.Add, &knftables.Rule{Chain: "c", Rule: "accept", Index: knftables.PtrTo(1)}},
		"a rule that is deleted":         {wire.Delete, rule("accept")},
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
	for _, expression := range []string{
		"", "counter drop", "accept accept", "accept ip saddr @v4", "jump", "ip saddr 10.0.0.1-10.0.0.9 accept", "ip saddr @v4 ip6 saddr @v6 drop",
		"ct reply proto-src 80 accept", "meta l4proto icmp ct reply proto-src 80 accept", "meta l4proto tcp ct reply proto-src 90-80 accept",
		"meta l4proto tcp ct reply proto-src 65536 accept", "meta l4proto gre accept", "ct state odd accept", "ct mark & 0xff == accept",
		"ct mark set 1", "ct mark & 1 == 0x100000000", "ct original ip saddr != vmap @verdicts", "icmpv6 type 256 accept", "ip6 hoplimit -1 accept",
		"@th,4,8 0x01 drop", "@th,64,16 0x01 drop", "@th,64,0 0x drop", "@th,64,136 0x" + strings.Repeat("00", 17) + " drop", "ip6 length > 65536 drop",
		"meta l4proto tcp ct reply ip saddr . ct reply proto-src 80", "ip saddr @v6 drop", "iifname . ip saddr @v4 drop", "ether type ip drop", "meta iifkind veth drop", "arp saddr ip @v4", "ct original ip6 saddr @v4 drop", "ip saddr vmap @v4",
		"meta l4proto tcp meta l4proto udp drop", "ip saddr @v4 ct original ip saddr @v4 drop", "ct original ip saddr . ct original ip6 saddr @v4 drop", "ct original ip saddr", "meta l4proto tcp icmpv6 type 1 accept", "tcp dport 80 accept",
	} {
		tests["a rule with "+expression] = wire.Step{Verb: wire.Add, Object: rule(expression)}
	}
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
