package kernel

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// BenchmarkTransaction is what it takes to write a transaction, by the nft program or over netlink: there
// and back again, so twice in a run. On a busy machine read the CPU time of one.
func BenchmarkTransaction(b *testing.B) {
	for _, remote := range []int{1000, 5000, 20_000} {
		l := newLab(b, lab.Routed)
		pods := l.busy(b, remote)
		less := pods
		less.Pods = less.Pods[:len(less.Pods)-1]
		more := pods
		more.Policies = append(slices.Clone(pods.Policies), lab.Policy(b, "one-more",
			`{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 443}]}]}`))
		for _, way := range []string{"program", "netlink"} {
			kernel := openNode(b, l.Node)
			var writer nft.Writer = kernel.Kernel // not the node: to enter its namespace takes time, too
			if way == "program" {
				writer = onlyProgram(kernel)
			}
			for _, step := range []struct {
				name          string
				before, after reach.Snapshot
			}{{"one pod", less, pods}, {"one policy", pods, more}} {
				b.Run(fmt.Sprintf("%s/%d pods/%s", step.name, remote, way), func(b *testing.B) {
					before, after := compile.Compile(step.before, lab.NodeName).Table(1), compile.Compile(step.after, lab.NodeName).Table(2)
					lab.Must(b, nft.Apply(b.Context(), kernel, nft.Replace(before)))
					measure(b, writer, nft.Diff(before, after), nft.Diff(after, before))
				})
			}
			b.Run(fmt.Sprintf("whole table/%d pods/%s", remote, way), func(b *testing.B) {
				table := compile.Compile(pods, lab.NodeName).Table(1)
				b.ReportMetric(float64(table.Elements()), "elements")
				measure(b, writer, nft.Replace(table))
			})
		}
	}
}

// BenchmarkContents is what it takes to read a table, to see whether anybody changed it.
func BenchmarkContents(b *testing.B) {
	for _, remote := range []int{1000, 5000, 20_000} {
		l := newLab(b, lab.Routed)
		kernel := openNode(b, l.Node)
		lab.Must(b, nft.Apply(b.Context(), kernel, nft.Replace(compile.Compile(l.busy(b, remote), lab.NodeName).Table(1))))
		for _, elements := range []bool{true, false} {
			b.Run(fmt.Sprintf("%d pods/elements %v", remote, elements), func(b *testing.B) {
				before := cpuTime(b)
				for b.Loop() {
					_, err := kernel.Contents(b.Context(), elements)
					lab.Must(b, err)
				}
				b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
			})
		}
	}
}

// measure applies the transactions by turns and reports the median of their times, and the CPU time.
func measure(b *testing.B, kernel nft.Writer, transactions ...[]nft.Op) {
	var times []time.Duration
	before := cpuTime(b)
	for b.Loop() {
		for _, ops := range transactions {
			started := time.Now()
			lab.Must(b, nft.Apply(context.Background(), kernel, ops))
			times = append(times, time.Since(started))
		}
	}
	b.ReportMetric((cpuTime(b)-before).Seconds()*1000/float64(len(times)), "cpu-ms")
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "median-ms")
}

// busy is a shop whose policies let many pods on other nodes in, of which it looks each up in two
// sets for each family.
func (l labNode) busy(t testing.TB, remote int) reach.Snapshot {
	t.Helper()
	s := l.Shop()
	s.Policies = []*networkingv1.NetworkPolicy{
		lab.Policy(t, "anyone", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}]}]}`),
		lab.Policy(t, "clients", `{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {role: client}}}], ports: [{port: 81}]}]}`),
	}
	for i := range remote {
		h := lab.Host{Name: fmt.Sprintf("elsewhere-%d", i), Kind: lab.RemotePod}
		h.V4, h.V6 = netip.AddrFrom4([4]byte{10, 100 + byte(i>>16), byte(i >> 8), byte(i)}), netip.MustParseAddr(fmt.Sprintf("fd00:20::%x", i+1))
		s.Pods = append(s.Pods, lab.Pod(h, "y", map[string]string{"role": "client"}))
	}
	return s
}
