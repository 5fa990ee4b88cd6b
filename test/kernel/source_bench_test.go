package kernel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// BenchmarkASource is an allowed packet of a connection that goes on: what it costs to look where it comes
// from, by ways that could be. The ways take turns, for the machine does other things too.
func BenchmarkASource(b *testing.B) {
	const rounds, packets = 41, 20_000
	l := newLab(b, lab.Routed)
	l.Load(b, l.Shop(), 1)
	ways := []struct {
		name  string
		rules []nft.Rule
	}{
		{"no look", nil},
		{"by route", []nft.Rule{nft.RuleOf(byVeth, expr.RouteMissing{}, expr.Drop)}},
		{"by route and names", []nft.Rule{nft.RuleOf(byVeth, expr.RouteMissing{}, expr.Drop), nft.RuleOf(expr.In("bridges", expr.InName), expr.RouteMissing{}, expr.Drop)}},
		{"by route and kinds", []nft.Rule{
			nft.RuleOf(byVeth, expr.RouteMissing{}, expr.Drop), nft.RuleOf(byBridge, expr.In("bridges", expr.InName), expr.RouteMissing{}, expr.Drop),
		}},
		{"by set", []nft.Rule{nft.RuleOf(expr.In("bound", expr.InName, expr.Source4), expr.Accept)}},
		{"by kind and set", []nft.Rule{nft.RuleOf(byVeth, expr.NotIn("bound", expr.InName, expr.Source4), expr.Drop)}},
	}
	l.NFT(b, "flush chain inet apptier source\ndelete chain inet apptier source\n")
	to := l.Host("local-1")
	lab.Must(b, network.In(to.NS, func() error { return sink(b, to) }))
	took := make([][]time.Duration, len(ways))
	for round := range rounds {
		for i := range ways {
			way := (i + round) % len(ways)
			l.NFT(b, "table inet bench {}\ndelete table inet bench\n")
			if ways[way].rules != nil {
				script := "table inet bench { set bound { type ifname . ipv4_addr; elements = { "
				for p := range lab.LocalPods {
					v4, _ := lab.PodAddresses(0, p)
					script += fmt.Sprintf("\"vethpod%d\" . %s, ", p, v4)
				}
				script += "} }\nset bridges { type ifname; }\nchain c { type filter hook prerouting priority raw; "
				for _, r := range ways[way].rules {
					script += r.Exprs.String() + "\n"
				}
				l.NFT(b, script+"}\n}\n")
			}
			took[way] = append(took[way], sendAllowed(b, l, packets))
		}
	}
	for i, way := range ways {
		slices.Sort(took[i])
		b.ReportMetric(float64(took[i][rounds/2].Nanoseconds())/packets, "cpu-ns/packet-"+strings.ReplaceAll(way.name, " ", "-"))
	}
}

// sink takes packets that nobody reads.
func sink(b *testing.B, h lab.Host) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	b.Cleanup(func() { lab.Must(b, unix.Close(fd)) })
	return unix.Bind(fd, lab.Sockaddr(h.V4, 9))
}

// sendAllowed returns the processor time of so many packets, which are all handled while they are sent.
func sendAllowed(b *testing.B, l labNode, packets int) time.Duration {
	from, to := l.Host("local-0"), l.Host("local-1")
	var fd int
	lab.Must(b, network.In(from.NS, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	defer func() { lab.Must(b, unix.Close(fd)) }()
	lab.Must(b, unix.Connect(fd, lab.Sockaddr(to.V4, 9)))
	before := cpuTime(b)
	for range packets {
		_, _ = unix.Write(fd, []byte{0})
	}
	return cpuTime(b) - before
}
