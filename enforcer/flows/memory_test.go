package flows_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/flows"
)

// scan has a pod connect to a hundred thousand addresses, which nobody reads in between.
func (w *world) scan(from string, n int) {
	for i := range n {
		w.packet(denied(from, netip.AddrFrom4([4]byte{172, byte(16 + i>>16), byte(i >> 8), byte(i)}).String()))
	}
}

// However many targets a pod scans, it costs a bound, and hides no connection of another pod: not of its namespace, and not
// of others; what is forgotten is said where it happened.
func TestAScanHidesNobodyElse(t *testing.T) {
	w := newWorld(flows.Options{})
	w.announce("noisy/scanner", "s", "10.0.0.1")
	w.announce("noisy/quiet", "q", "10.0.0.2")
	w.announce("shop/web", "w", "10.0.0.3")
	w.announce("shop/db", "d", "10.0.0.4")
	w.packet(denied("10.0.0.2", "192.0.2.1"))
	w.packet(denied("10.0.0.3", "10.0.0.4"))
	w.packet(denied("192.0.2.9", "10.0.0.4"))
	w.read()
	for i := range 5 {
		w.after(time.Second)
		w.scan("10.0.0.1", 100_000)
		for j := range 3000 { // from outside, with any source
			w.packet(denied(fmt.Sprintf("198.51.%d.%d", 100+i, j%256), "10.0.0.4"))
		}
		w.read()
	}
	w.after(time.Second)
	w.packet(denied("10.0.0.2", "192.0.2.2"))
	w.read()
	if n := len(w.list("")); n > 10_000 {
		t.Errorf("%d connections are remembered", n)
	}
	var quiet []string
	for _, c := range w.list("noisy") {
		if c.Source.Pod == "quiet" {
			quiet = append(quiet, short(c))
		}
	}
	if want := "noisy/quiet → 192.0.2.1 ×1\nnoisy/quiet → 192.0.2.2 ×1"; strings.Join(quiet, "\n") != want {
		t.Errorf("got %v", quiet)
	}
	var shop int
	for _, c := range w.list("shop") {
		if s := short(c); s == "shop/web → shop/db ×1" || s == "192.0.2.9 → shop/db ×1" {
			shop++
		}
	}
	if shop != 2 {
		t.Error("a connection of another namespace is forgotten")
	}
	if missing := w.List("noisy", time.Time{}, w.now).Missing; len(missing) != 1 || missing[0].Count < 100_000-10_000 || missing[0].Node != "node" {
		t.Errorf("missing: %v", missing)
	}
	if missing := w.List("shop", time.Time{}, w.now).Missing; len(missing) != 0 {
		t.Errorf("missing: %v", missing)
	}
}

// Whoever sends from others' addresses has as many as it likes. It hides no connection that comes from outside.
func TestInventedSourcesHideNobody(t *testing.T) {
	w := newWorld(flows.Options{})
	w.announce("shop/db", "d", "10.0.0.4")
	w.packet(denied("192.0.2.9", "10.0.0.4"))
	w.read()
	for i := range 5000 {
		k := denied(fmt.Sprintf("198.51.%d.%d", i/256, i%256), "10.0.0.4")
		k.Direction, k.Reason = "", "spoofed"
		w.packet(k)
	}
	w.after(time.Second)
	w.read()
	kept := 0
	for _, c := range w.list("shop") {
		if short(c) == "192.0.2.9 → shop/db ×1" {
			kept++
		}
	}
	if n := len(w.list("shop")); kept != 1 || n > 2501 {
		t.Errorf("%d are remembered, %d of them from outside", n, kept)
	}
}

// What was not seen for the retention is forgotten; what the kernel had no space for is said since the time that is asked
// for.
func TestWhatIsOldIsForgotten(t *testing.T) {
	w := newWorld(flows.Options{Retention: 10 * time.Minute})
	w.announce("shop/web", "w", "10.0.0.1")
	w.read()
	w.packet(denied("10.0.0.1", "192.0.2.1"))
	w.missed["egress"] = 5
	w.read()
	if list := w.List("shop", w.now.Add(-time.Minute), w.now); len(list.Items) != 1 || len(list.Missing) != 1 || list.Missing[0].Count != 5 {
		t.Errorf("got %+v", list)
	}
	w.after(5 * time.Minute)
	w.read()
	if list := w.List("shop", w.now.Add(-time.Minute), w.now); len(list.Items) != 0 || len(list.Missing) != 0 {
		t.Errorf("got %+v", list)
	}
	w.missed["egress"] = 2 // it counts anew
	w.read()
	w.after(5 * time.Minute)
	w.read()
	if list := w.List("shop", time.Time{}, w.now); len(list.Items) != 0 || len(list.Missing) != 1 || list.Missing[0].Count != 7 {
		t.Errorf("got %+v", list)
	}
	w.after(12 * time.Minute)
	w.read()
	if list := w.List("shop", time.Time{}, w.now); len(list.Missing) != 0 {
		t.Errorf("got %+v", list)
	}
}

// A connection has a line when it is first seen, and then one a minute while it goes on.
func TestLinesAreDueOnceAMinute(t *testing.T) {
	w := newWorld(flows.Options{Log: true})
	w.announce("shop/web", "w", "10.0.0.1")
	w.announce("shop/db", "d", "10.0.0.2")
	allowed := denied("10.0.0.1", "10.0.0.2")
	allowed.Verdict = connections.Allowed
	w.packet(allowed)
	w.packet(denied("10.0.0.1", "10.0.0.2"))
	var counts []int64
	for range 150 {
		w.packet(denied("10.0.0.1", "10.0.0.2"))
		w.read()
		for _, line := range w.Due(w.now) {
			counts = append(counts, line.Count)
		}
		w.after(time.Second)
	}
	w.after(time.Minute)
	for _, line := range w.Due(w.now) {
		counts = append(counts, line.Count)
	}
	if fmt.Sprint(counts) != "[2 60 60 29]" {
		t.Errorf("lines of %v", counts)
	}
}

// Connections are counted by the side that decided. There is a bound on the sets of labels, above which the rest is
// counted together.
func TestTotalsHaveBoundedLabels(t *testing.T) {
	w := newWorld(flows.Options{})
	p := policy("team-0/p", "app/web", "")
	w.SetPolicy(p.Key(), p, false)
	for i := range 1500 {
		w.announce(fmt.Sprintf("team-%d/web", i), fmt.Sprint(i), fmt.Sprintf("10.1.%d.%d", i/256, i%256))
		w.packet(denied("192.0.2.1", fmt.Sprintf("10.1.%d.%d", i/256, i%256)))
	}
	for range 30 {
		w.read()
		w.after(time.Second)
	}
	all, tier, others := uint64(0), uint64(0), uint64(0)
	for _, total := range w.Totals() {
		all += total.Count
		if total.Namespace == flows.Others {
			others += total.Count
		}
		if (total.Labels == flows.Labels{Namespace: "team-0", AppTier: "app", Tier: "web", Direction: connections.Ingress, Verdict: connections.Denied}) {
			tier = total.Count
		}
	}
	if n := len(w.Totals()); n > 1001 || all != 1500 || others < 499 || others+tier > 1500 {
		t.Errorf("%d sets of labels, %d in all, %d of others, %d of the tier", n, all, others, tier)
	}
}

// Tiers are labels that a namespace's owner writes. However many it writes, others' tiers are counted by their names.
func TestTiersOfOneNamespaceHideNoOthers(t *testing.T) {
	w := newWorld(flows.Options{})
	const tiers = 1500
	for i := range tiers {
		p := policy(fmt.Sprintf("noisy/p%d", i), fmt.Sprintf("app/tier-%d", i), fmt.Sprintf("i=%d", i))
		w.SetPolicy(p.Key(), p, false)
		address := fmt.Sprintf("10.1.%d.%d", i/256, i%256)
		w.announce(fmt.Sprintf("noisy/pod-%d", i), fmt.Sprint(i), address, fmt.Sprintf("i=%d", i))
		w.packet(denied("10.0.0.1", address))
	}
	p := policy("shop/db", "shop/database", "")
	w.SetPolicy(p.Key(), p, false)
	w.announce("shop/web", "w", "10.0.0.1")
	w.announce("shop/db", "d", "10.0.0.2")
	w.read()
	w.packet(denied("10.0.0.1", "10.0.0.2"))
	w.read()
	counts := map[flows.Labels]uint64{}
	var noisy uint64
	for _, total := range w.Totals() {
		counts[total.Labels] = total.Count
		if total.Namespace == "noisy" {
			noisy += total.Count
		}
	}
	database := flows.Labels{Namespace: "shop", AppTier: "shop", Tier: "database", Direction: connections.Ingress, Verdict: connections.Denied}
	if counts[database] != 1 || noisy != tiers || len(counts) > 150 {
		t.Errorf("%d sets of labels; %d of the noisy namespace, %d of the other's tier", len(counts), noisy, counts[database])
	}
}

// BenchmarkRead is a reading of twenty thousand elements, all of which have risen, on a cluster of twenty thousand pods.
// It reports the memory of all that is known.
func BenchmarkRead(b *testing.B) {
	const n = 20_000
	var before, after runtime.MemStats
	address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d", 1+i>>16, i>>8&255, i&255) }
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("team-%d/pod-%d", i/40, i)
	}
	for _, test := range []struct {
		name string
		keys func(i int) flows.Key
	}{
		{"of many pods", func(i int) flows.Key { return denied(address(i), address((i*7+1)%n)) }},
		{"of one pod that scans", func(i int) flows.Key { return denied(address(0), address(i)) }},
	} {
		b.Run(test.name, func(b *testing.B) {
			r := flows.Reading{}
			for i := range n {
				r.Seen = append(r.Seen, flows.Seen{Key: test.keys(i)})
			}
			w := newWorld(flows.Options{})
			for i, name := range names {
				w.announce(name, fmt.Sprint(i), address(i), "app=web")
			}
			runtime.GC()
			runtime.ReadMemStats(&before)
			more := func() {
				w.after(time.Second)
				for i := range r.Seen {
					r.Seen[i].Count++
					r.Seen[i].Age += time.Second
				}
			}
			more()
			w.Read(r, w.now)
			for b.Loop() {
				b.StopTimer()
				more()
				b.StartTimer()
				w.Read(r, w.now)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(w)
			b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20), "live-MiB")
		})
	}
}

// BenchmarkHistory is what the history of twenty thousand pods takes besides the pods.
func BenchmarkHistory(b *testing.B) {
	const n = 20_000
	pods := make([]*flows.Pod, n)
	for i := range pods {
		pods[i] = pod(fmt.Sprintf("team-%d/pod-%d", i/40, i), fmt.Sprint(i), fmt.Sprintf("10.%d.%d.%d", 1+i>>16, i>>8&255, i&255))
	}
	var live float64
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		w := newWorld(flows.Options{})
		for _, p := range pods {
			w.SetPod(named(p.String()), p, flows.Since{}, w.now)
		}
		w.Follow()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(w)
		live = float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / (1 << 20)
	}
	runtime.KeepAlive(pods)
	b.ReportMetric(live, "live-MiB")
}
