package kernel

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"pgregory.net/rapid"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/policy/reach/reachtest"
	"github.com/apptier/apptier/test/lab"
)

// What is written over netlink cannot be told from what the nft program writes.
func TestTransactionsOverNetlinkAreThoseOfTheProgram(t *testing.T) {
	w := newTwins(t)
	rapid.Check(t, func(t *rapid.T) {
		generated := reachtest.Snapshot(reachtest.MaxNodes(2), reachtest.MaxPods(8))
		table := compile.Compile(generated.Draw(t, "first"), lab.NodeName).Table(1)
		w.apply(t, nft.Replace(table))
		w.compare(t)
		for i := range rapid.IntRange(1, 3).Draw(t, "changes") {
			next := compile.Compile(generated.Draw(t, "next"), lab.NodeName).Table(uint16(i + 2))
			w.apply(t, nft.Diff(table, next))
			w.compare(t)
			table = next
		}
	})
}

// The same goes for what a compiler writes down of one change after another.
func TestAHistoryOverNetlinkIsThatOfTheProgram(t *testing.T) {
	w := newTwins(t)
	rapid.Check(t, func(t *rapid.T) {
		c := compile.New(agenttest.Node)
		c.MergeAbove(rapid.SampledFrom([]int{0, 1, 8}).Draw(t, "merge above"))
		world := agenttest.NewWorld(c)
		generation := uint16(1)
		c.Stamp(generation)
		w.apply(t, nft.Replace(c.Tracker().Table()))
		c.Tracker().Commit()
		sync := func(t *rapid.T) {
			generation = compile.DefaultMark.Next(generation)
			c.Stamp(generation)
			w.apply(t, c.Tracker().Steps())
			c.Tracker().Commit()
		}
		t.Repeat(map[string]func(*rapid.T){
			"an object changes": world.Change, "another object changes": world.Change, "sync": sync,
		})
		sync(t)
		w.compare(t)
		w.compareListed(t, c.Tracker().Table())
	})
}

// Compiled rulesets seldom have ranges at the edges, and never change many: others do.
//
// The program gets each table whole. A transaction of its own (nft 1.0.6) that deletes a range up to the
// last port and adds one at or before it goes wrong about once in a thousand times: it keeps the old range
// without a word, or refuses the new one as overlapping. Over netlink, none of 12,000 such changes did.
func TestRangesOverNetlinkAreThoseOfTheProgram(t *testing.T) {
	w := newTwins(t)
	rapid.Check(t, func(t *rapid.T) {
		table := rangesTable(t, "first")
		w.apply(t, nft.Replace(table))
		w.compare(t)
		for range 2 {
			next := rangesTable(t, "next")
			lab.Must(t, w.conn.Run(nft.Diff(table, next)))
			w.compareListed(t, next)
			lab.Must(t, nft.Apply(context.Background(), w.byProgram, nft.Replace(next)))
			w.compare(t)
			table = next
		}
	})
}

// rangesTable has sets of ranges, and a map, that may touch, and begin or end where addresses and ports do.
func rangesTable(t *rapid.T, label string) nft.Table {
	table := nft.Table{Family: compile.TableFamily, Name: compile.TableName, Chains: map[string]nft.Chain{"other": {}}, Sets: map[string]nft.Set{}}
	for _, s := range []struct { // in an order, so that what is drawn can be drawn again
		name, key string
		text      func(int) string
	}{
		{"ports", "inet_service", func(n int) string { return strconv.Itoa(edge(n, 16)) }},
		{"verdicts", "inet_service", func(n int) string { return strconv.Itoa(edge(n, 16)) }},
		{"v4", "ipv4_addr", func(n int) string {
			e := edge(n, 8)
			return netip.AddrFrom4([4]byte{byte(e), byte(e), byte(e), byte(e)}).String()
		}},
		{"v6", "ipv6_addr", func(n int) string {
			e := byte(edge(n, 8))
			return netip.AddrFrom16([16]byte{e, e, e, e, e, e, e, e, e, e, e, e, e, e, e, e}).String()
		}},
	} {
		value := func() string { return "" }
		set := nft.Set{Key: s.key, Interval: true, Comment: "ranges"}
		if s.name == "verdicts" {
			set.Value = "verdict"
			value = func() string { return rapid.SampledFrom([]string{"accept", "goto other"}).Draw(t, label+" verdict") }
		}
		elements := map[string]nft.Element{}
		for first := 0; first < edges; first++ {
			switch last := min(first+rapid.IntRange(-3, 3).Draw(t, label+" length in "+s.name), edges-1); {
			case last < first:
			case last == first:
				elements[s.text(first)] = nft.Element{Value: value(), Comment: rapid.SampledFrom([]string{"", "one"}).Draw(t, "comment")}
			default:
				elements[s.text(first)+"-"+s.text(last)] = nft.Element{Value: value(), Comment: rapid.SampledFrom([]string{"", "some"}).Draw(t, "comment")}
				first = last
			}
		}
		set.Elements = elements
		table.Sets[s.name] = set
	}
	return table
}

// edges is how many numbers edge knows: the lowest and the highest ones of so many bits.
const edges = 10

func edge(n, bits int) int {
	if n < edges/2 {
		return n
	}
	return 1<<bits - edges + n
}

// Every word that package wire knows and that compiled rulesets seldom or never have.
func TestRareWordsOverNetlinkAreThoseOfTheProgram(t *testing.T) {
	w := newTwins(t)
	full := strings.Repeat("x", nft.MaxComment-1)
	rule := func(exprs ...expr.Expr) nft.Rule { return nft.Remarked(full, exprs...) }
	tcp, span := expr.Of(expr.TCP), func(field expr.Field, first, last uint16) expr.Port {
		return expr.Port{Field: field, First: first, Last: last}
	}
	table := nft.Table{
		Family: compile.TableFamily, Name: compile.TableName, Comment: full,
		Counters: map[string]nft.Counter{"plain": {}, "with": {Comment: full}},
		Sets: map[string]nft.Set{
			"verdicts": {Key: "ipv4_addr", Value: "verdict", Elements: map[string]nft.Element{
				"10.0.0.1": {Value: "accept", Comment: full}, "10.0.0.2": {Value: "drop"},
				"10.0.0.3": {Value: "jump other"}, "10.0.0.4": {Value: "goto other"},
			}},
			"pairs": {Key: "ipv6_addr . inet_service", Value: "verdict", Comment: full, Elements: map[string]nft.Element{
				nft.Key("fd00::1", "80"): {Value: "goto other", Comment: "a pair"},
			}},
			"triples": {Key: "inet_service . ipv4_addr . ipv4_addr", Elements: map[string]nft.Element{nft.Key("1", "10.0.0.1", "10.0.0.2"): {}}},
			"four":    {Key: "ipv4_addr . ipv4_addr"},
			"v4":      {Key: "ipv4_addr"}, "v6": {Key: "ipv6_addr"},
			"protocols": {Key: "inet_proto", Elements: map[string]nft.Element{"tcp": {}, "47": {}}},
			"seen4":     {Key: "ipv4_addr . ipv4_addr . inet_proto . inet_service", Dynamic: nft.Dynamic{Size: 16384, Timeout: time.Minute}, Comment: full},
			"seen6":     {Key: "ipv6_addr . ipv6_addr . inet_proto . inet_service", Dynamic: nft.Dynamic{Size: 1, Timeout: time.Second}},
			"links":     {Key: "ifname", Dynamic: nft.Dynamic{Size: 4096, Timeout: time.Minute}},
		},
		Chains: map[string]nft.Chain{
			"other": {Comment: full},
			"base": {
				Base:  &nft.Base{Hook: nft.ForwardHook, Priority: nft.FilterPriority, Policy: knftables.DropPolicy},
				Rules: []nft.Rule{rule(expr.Counter{Name: "with"}, expr.New|expr.Established|expr.Invalid, expr.Jump("other"))},
			},
			"rules": {Rules: []nft.Rule{
				rule(expr.MarkIs{Mask: 0xff00, Value: 0xab00}, expr.Accept), rule(expr.SetMark{Keep: 0xff00ffff, Value: 0x120000}, expr.Drop),
				rule(expr.Of(expr.UDP), span(expr.OriginalPort, 1, 1023), expr.GoTo("other")), rule(expr.Of(expr.SCTP), span(expr.ReplyPort, 65535, 65535)),
				rule(tcp, expr.By("pairs", expr.ReplySource6, expr.ReplyPort)),
				rule(tcp, expr.NotIn("triples", expr.OriginalPort, expr.OriginalSource4, expr.ReplySource4), expr.Drop),
				rule(expr.In("v4", expr.Source4), expr.NotIn("v4", expr.Destination4), expr.Drop), rule(expr.In("four", expr.Source4, expr.Destination4)),
				rule(expr.ICMPv6Type{First: 128, Last: 128}, expr.Accept),
				rule(expr.In("v6", expr.Source6), expr.HopLimit{Hops: 1}, expr.In("v6", expr.Destination6), expr.Drop), rule(expr.Of(expr.ICMP)),
				rule(expr.In("v4", expr.OriginalSource4), expr.By("verdicts", expr.ReplySource4)),
				rule(expr.RoutingHeader{}, expr.Drop), rule(expr.Options{}, expr.Drop), rule(span(expr.UDPSource, 53, 53), expr.Accept),
				rule(expr.In("v6", expr.Source6), expr.LongerThan{Bytes: 65535}),
				rule(expr.Original, expr.In("protocols", expr.TransportProtocol), expr.Reply, expr.GoTo("other")),
				rule(expr.In("seen4", expr.OriginalSource4, expr.ReplySource4, expr.TransportProtocol, expr.TransportSource), expr.Drop),
				rule(expr.NotIn("seen6", expr.Source6, expr.Destination6, expr.TransportProtocol, expr.TransportDestination), expr.Drop),
				rule(expr.Within(expr.Limit{Packets: 1, Per: time.Minute, Burst: 1}, "links", expr.InName),
					expr.Count("seen6", expr.OriginalSource6, expr.ReplySource6, expr.TransportProtocol, expr.TransportSource), expr.Drop),
				rule(expr.Within(expr.Limit{Packets: 1000, Per: time.Second, Burst: 70000}, "links", expr.OutName),
					expr.Count("seen4", expr.Source4, expr.Destination4, expr.TransportProtocol, expr.TransportDestination)),
				rule(expr.ICMPv6Type{First: 135, Last: 135}, expr.LongerThan{Bytes: 32}, expr.Raw{Offset: 8, Bytes: strings.Repeat("\xab", 16)},
					expr.Raw{Offset: 26, Not: true, Bytes: "\x02\x00\x00\x00\x00\x01"}, expr.Drop),
			}},
		},
	}
	w.apply(t, nft.Replace(table))
	w.compare(t)
	w.compareListed(t, table)
	w.apply(t, nft.Diff(table, nft.Table{Family: table.Family, Name: table.Name, Comment: table.Comment}))
	w.compare(t)
}

// The first table of a large cluster is several megabytes, in one message.
func TestALargeTransactionIsTakenWhole(t *testing.T) {
	l := newLab(t, lab.Routed)
	snapshot := l.busy(t, 5000)
	table := compile.Compile(snapshot, lab.NodeName).Table(1)
	conn := openWire(t, l.Node)
	lab.Must(t, conn.Run(nft.Replace(table)))
	kernel := openNode(t, l.Node)
	contents, err := kernel.Contents(t.Context(), true)
	lab.Must(t, err)
	if difference := (&nft.Auditor{}).Compare(table, contents); difference != "" {
		t.Error(difference)
	}
	if n := table.Elements(); n < 20_000 {
		t.Errorf("only %d elements", n)
	}
}

// Other programs have transactions of their own at the same time, on their own tables.
func TestOtherProgramsDoNotDisturb(t *testing.T) {
	w := newTwins(t)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		stopped <- network.In(w.direct, func() error {
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				cmd := exec.CommandContext(t.Context(), "nft", "-f", "-")
				cmd.Stdin = strings.NewReader("add table inet other\ndelete table inet other\nadd table inet other { set s { type ipv4_addr; elements = { 1.2.3.4 }; }; }\n")
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
			}
		})
	}()
	table := compile.Compile(reachtest.Snapshot().Example(1), lab.NodeName).Table(1)
	lab.Must(t, w.conn.Run(nft.Replace(table)))
	for i := range 2000 {
		next := table.Clone()
		next.Sets["node4"].Elements[netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}).String()] = nft.Element{}
		lab.Must(t, w.conn.Run(nft.Diff(table, next)))
		table = next
	}
	close(stop)
	lab.Must(t, <-stopped)
	kernel := openNode(t, w.direct)
	contents, err := kernel.Contents(t.Context(), true)
	lab.Must(t, err)
	if difference := (&nft.Auditor{}).Compare(table, contents); difference != "" {
		t.Error(difference)
	}
}

// What package wire does not know, the nft program writes, all of it, and the log says so.
func TestTheProgramWritesWhatIsNotKnown(t *testing.T) {
	lab.RequireKernel(t)
	var logged []string
	ctx := logr.NewContext(context.Background(), funcr.New(func(_, args string) { logged = append(logged, args) }, funcr.Options{Verbosity: 1}))
	n := openNode(t, lab.NewNamespace(t))
	lab.Must(t, nft.Apply(ctx, n, []nft.Op{
		{Verb: nft.Add, Object: &knftables.Table{}},
		{Verb: nft.Add, Object: &knftables.Chain{Name: "c"}},
		{Verb: nft.Add, Object: ruleIn("c", expr.Drop)},
	}))
	if len(logged) != 0 {
		t.Errorf("logged %s", logged)
	}
	lab.Must(t, nft.Apply(ctx, n, []nft.Op{
		{Verb: nft.Flush, Object: &knftables.Chain{Name: "c"}},
		{Verb: nft.Add, Object: &knftables.Rule{Chain: "c", Rule: "tcp dport 80 accept"}},
	}))
	if len(logged) != 1 || !strings.Contains(logged[0], "tcp dport 80") {
		t.Errorf("logged %s", logged)
	}
	if got, want := list(t, n.ns), "chain c {\n\t\ttcp dport 80 accept\n\t}"; !strings.Contains(got, want) {
		t.Errorf("got:\n%s", got)
	}
}
