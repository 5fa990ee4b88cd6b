package conntrack_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/conntrack"
	"github.com/apptier/apptier/internal/testenv/network"
)

// in makes a network namespace and calls do there.
func in(t testing.TB, do func() error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	ns, err := network.NewNamespace()
	must(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	must(t, network.In(ns, do))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// track has the kernel track n connections, the i-th with the mark that of tells.
func track(n int, of func(i int) uint32) error {
	for i := range n {
		family, src, dst := netlink.InetFamily(unix.AF_INET), net.IPv4(10, 0, byte(i>>14), byte(i>>6)), net.IPv4(10, 1, 0, 1)
		if i%2 == 1 {
			family, src, dst = unix.AF_INET6, net.ParseIP(fmt.Sprintf("fd00::%x", i)), net.ParseIP("fd00:1::1")
		}
		tuple := netlink.IPTuple{SrcIP: src, DstIP: dst, SrcPort: uint16(1 + i%60000), DstPort: 80, Protocol: unix.IPPROTO_UDP}
		reply := netlink.IPTuple{SrcIP: dst, DstIP: src, SrcPort: 80, DstPort: tuple.SrcPort, Protocol: unix.IPPROTO_UDP}
		if err := netlink.ConntrackCreate(netlink.ConntrackTable, family, &netlink.ConntrackFlow{
			FamilyType: uint8(family), Forward: tuple, Reverse: reply, Mark: of(i), TimeOut: 600,
		}); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

// marks counts connections by their marks.
func marks() (map[uint32]int, error) {
	out := map[uint32]int{}
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
		if err != nil {
			return nil, err
		}
		for _, f := range flows {
			out[f.Mark]++
		}
	}
	return out, nil
}

// What is stale is cleared, in the mask's bits alone, of both families, however many there are.
func TestClear(t *testing.T) {
	in(t, func() error {
		const others = 0x1234
		if err := track(3000, func(i int) uint32 { return uint32(i%3)<<16 | others }); err != nil {
			return err
		}
		if err := (conntrack.Table{}).Clear(context.Background(), 0xffff0000, func(m uint32) bool { return m == 0x10000 }); err != nil {
			return err
		}
		got, err := marks()
		if got[others] != 2000 || got[0x20000|others] != 1000 || len(got) != 2 {
			t.Errorf("marks: %x", got)
		}
		return err
	})
}

// What it costs a node with many connections to find the stale ones, and what it costs to clear each.
func BenchmarkClear(b *testing.B) {
	const n = 50_000
	in(b, func() error {
		if err := track(n, func(int) uint32 { return 0x10000 }); err != nil {
			return err
		}
		const mask = 0xffff0000
		started := time.Now()
		if err := (conntrack.Table{}).Clear(context.Background(), mask, func(m uint32) bool { return m != 0 }); err != nil {
			return err
		}
		all := time.Since(started)
		for b.Loop() {
			if err := (conntrack.Table{}).Clear(context.Background(), mask, func(m uint32) bool { return m != 0 }); err != nil {
				return err
			}
		}
		b.ReportMetric(float64(all.Microseconds())/1000, "ms-if-all-are-stale")
		return nil
	})
}
