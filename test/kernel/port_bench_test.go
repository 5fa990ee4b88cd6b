package kernel

import (
	"slices"
	"testing"
	"time"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// BenchmarkAPort is an allowed packet of a connection between two pods of a bridge: what it costs to look
// where it comes from. With and without take turns, for the machine does other things too.
func BenchmarkAPort(b *testing.B) {
	const rounds, packets = 21, 10_000
	l := newLab(b, lab.Bridged)
	l.Load(b, l.Shop(), 1)
	_, err := l.Looks(b).Sync(b.Context(), l.Given())
	lab.Must(b, err)
	to := l.Host("local-1")
	lab.Must(b, network.In(to.NS, func() error { return sink(b, to) }))
	took := map[string][]time.Duration{}
	for round := range 2 * rounds {
		way, flags := "cpu-ns/packet", ""
		if (round+round/2)%2 == 0 {
			way, flags = "cpu-ns/packet-no-look", "flags dormant;"
		}
		l.NFT(b, "table bridge apptier { "+flags+" }")
		took[way] = append(took[way], sendAllowed(b, l, packets))
	}
	for way, all := range took {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/packets, way)
	}
}
