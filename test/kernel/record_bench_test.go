package kernel

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/flows/kernel"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/test/lab"
)

// spacious is a table whose sets take records as fast as they come: this many, or as many as they are made for.
func spacious(table nft.Table, size uint32) nft.Table {
	table = table.Clone()
	for name, set := range table.Sets {
		if set.Dynamic != (nft.Dynamic{}) && size > 0 {
			set.Dynamic.Size = size
			table.Sets[name] = set
		}
	}
	for name, chain := range table.Chains {
		for i, rule := range chain.Rules {
			chain.Rules[i].Exprs = slices.DeleteFunc(slices.Clone(rule.Exprs), func(e expr.Expr) bool {
				update, is := e.(expr.Update)
				return is && update.Limit != (expr.Limit{})
			})
		}
		table.Chains[name] = chain
	}
	return table
}

// BenchmarkReading reads what a kernel recorded, as the agent does every second.
func BenchmarkReading(b *testing.B) {
	for _, elements := range []int{0, 1000, 10_000, 16_384} {
		b.Run(fmt.Sprintf("%d records", elements), func(b *testing.B) {
			l := newLab(b, lab.Routed)
			s := l.Shop()
			s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(b, "p", "{podSelector: {}, policyTypes: [Egress]}")}
			l.Apply(b, nft.Replace(spacious(l.Table(s, 1), 0)))
			scan(b, l.Host("local-0"), []netip.Addr{l.Host("local-1").V4}, elements)
			k := openNode(b, l.Node).Kernel
			before, times := cpuTime(b), 0
			for ; b.Loop(); times++ {
				reading, err := kernel.Read(b.Context(), k)
				lab.Must(b, err)
				if len(reading.Seen) != elements {
					b.Fatalf("%d are recorded", len(reading.Seen))
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(times), "cpu-ns/op")
		})
	}
}

// BenchmarkADenial is a denied packet: with nothing recorded, with a connection that was recorded before, one of 20,000
// that were, and one of which nothing is recorded since the sender has had too many. They take turns, for the machine
// does other things too.
func BenchmarkADenial(b *testing.B) {
	const rounds, packets, many = 11, 20_000, 20_000
	l := newLab(b, lab.Routed)
	s := l.Shop()
	s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(b, "p", "{podSelector: {}, policyTypes: [Egress]}")}
	paced := l.Table(s, 1)
	recording, counting := spacious(paced, 1<<16), paced.Clone()
	for name, chain := range counting.Chains {
		if name == "denied-egress" {
			counting.Chains[name] = nft.Chain{Comment: chain.Comment, Rules: []nft.Rule{chain.Rules[0], nft.RuleOf(expr.Drop)}}
		}
	}
	to := []netip.Addr{l.Host("local-1").V4}
	ways := []struct {
		name  string
		table nft.Table
		ports int
	}{{"counted", counting, many}, {"recorded-1", recording, 1}, {"recorded-20000", recording, many}, {"missed", paced, many}}
	took := make([][]time.Duration, len(ways))
	for round := range rounds {
		for i := range ways {
			way := (i + round) % len(ways)
			l.Apply(b, nft.Replace(ways[way].table))
			scan(b, l.Host("local-0"), to, ways[way].ports)
			before := cpuTime(b)
			scan(b, l.Host("local-0"), slices.Repeat(to, packets/ways[way].ports), ways[way].ports)
			took[way] = append(took[way], cpuTime(b)-before)
		}
	}
	for way := range ways {
		slices.Sort(took[way])
		b.ReportMetric(float64(took[way][rounds/2].Nanoseconds())/packets, "cpu-ns/packet-"+ways[way].name)
	}
}

// BenchmarkANewConnection is the first packet of a connection that policies allow: without anything else, with staged
// policies that allow it or would deny it, and with allowed ones recorded as well. They take turns.
func BenchmarkANewConnection(b *testing.B) {
	const rounds, ports = 21, 20_000
	l := newLab(b, lab.Routed)
	s := l.Shop()
	s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(b, "p", "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}")}
	without := l.Table(s, 1)
	s.Staged = []*networkingv1.NetworkPolicy{lab.Policy(b, "p", "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}], egress: [{}]}")}
	staged := l.Table(s, 1)
	l.RecordAllowed = true
	allowed := l.Table(s, 1)
	l.RecordAllowed = false
	s.Staged = []*networkingv1.NetworkPolicy{lab.Policy(b, "p", "{podSelector: {}, policyTypes: [Ingress, Egress], egress: [{}]}")}
	denied := l.Table(s, 1)
	ways := []struct {
		name  string
		table nft.Table
	}{{"without", without}, {"staged", staged}, {"staged-would-deny", denied}, {"staged-and-allowed", allowed}}
	took := make([][]time.Duration, len(ways))
	for round := range rounds {
		for i := range ways {
			way := (i + round) % len(ways)
			l.Apply(b, nft.Replace(ways[way].table))
			before := cpuTime(b)
			scan(b, l.Host("local-0"), []netip.Addr{l.Host("local-1").V4}, ports)
			took[way] = append(took[way], cpuTime(b)-before)
		}
	}
	for way := range ways {
		slices.Sort(took[way])
		b.ReportMetric(float64(took[way][rounds/2].Nanoseconds())/ports, "cpu-ns/connection-"+ways[way].name)
	}
}
