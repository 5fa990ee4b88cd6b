package kernel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// BenchmarkAJudgement is a packet that no policy concerns, which has no stamp: what it costs to look for
// addresses that only a bridge passes on. With and without take turns, for the machine does other things too.
func BenchmarkAJudgement(b *testing.B) {
	const rounds, packets = 41, 20_000
	for _, wiring := range lab.Wirings() {
		b.Run(wiring.Name, func(b *testing.B) {
			l := newLab(b, wiring)
			to := l.Host("local-1")
			lab.Must(b, network.In(to.NS, func() error { return sink(b, to) }))
			with := l.Load(b, l.Shop(), 1)
			without := with.Clone()
			judge := without.Chains["judge"]
			judge.Rules = slices.DeleteFunc(slices.Clone(judge.Rules), func(r nft.Rule) bool { return strings.Contains(r.Exprs.String(), "unroutable") })
			without.Chains["judge"] = judge
			ways, names := []nft.Table{without, with}, []string{"without", "with"}
			took := make([][]time.Duration, len(ways))
			for round := range rounds {
				for i := range ways {
					way := (i + round) % len(ways)
					l.Apply(b, nft.Replace(ways[way]))
					took[way] = append(took[way], sendAllowed(b, l, packets))
				}
			}
			for way := range ways {
				slices.Sort(took[way])
				b.ReportMetric(float64(took[way][rounds/2].Nanoseconds())/packets, "cpu-ns/packet-"+names[way])
			}
		})
	}
}
