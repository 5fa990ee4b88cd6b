package kernel

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// BenchmarkAPodElsewhere is a whole sync, the kernel's part included, for one pod that comes or
// goes on another node and that policies of this one select.
func BenchmarkAPodElsewhere(b *testing.B) {
	for _, remote := range []int{1000, 20_000} {
		b.Run(fmt.Sprintf("%d pods", remote), func(b *testing.B) {
			l := newLab(b, lab.Routed)
			snapshot := l.Shop()
			snapshot.Policies = []*networkingv1.NetworkPolicy{
				lab.Policy(b, "p", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}]}]}`),
			}
			for i := range remote {
				h := lab.Host{Name: fmt.Sprintf("elsewhere-%d", i), Kind: lab.RemotePod}
				h.V4, h.V6 = netip.AddrFrom4([4]byte{10, 100 + byte(i>>16), byte(i >> 8), byte(i)}), netip.MustParseAddr(fmt.Sprintf("fd00:20::%x", i+1))
				snapshot.Pods = append(snapshot.Pods, lab.Pod(h, "y", nil))
			}
			shown := snapshot
			s := &agent.Syncer{
				Node: lab.NodeName, Kernel: openNode(b, l.Node), Feed: agenttest.Source(func() reach.Snapshot { return shown }),
				Metrics: agent.NewMetrics(), Log: logr.Discard(),
			}
			lab.Must(b, s.Sync(b.Context()))
			before := cpuTime(b)
			for i := 0; b.Loop(); i++ {
				shown.Pods = snapshot.Pods[:len(snapshot.Pods)-1+i%2]
				lab.Must(b, s.Sync(b.Context()))
			}
			b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkOneMoreWidePolicy is a whole sync for one policy of fifty ports that comes or goes where a pod is
// under so many others of fifty ports each.
func BenchmarkOneMoreWidePolicy(b *testing.B) {
	for _, others := range []int{0, 30, 300} {
		b.Run(fmt.Sprintf("%d others", others), func(b *testing.B) {
			l := newLab(b, lab.Routed)
			snapshot := l.crowd(b, fiftyPorts, others+1)
			last := snapshot.Policies[len(snapshot.Policies)-1]
			change := func(c *compile.Compiler) { c.Tell(snapshot) }
			s := &agent.Syncer{
				Node: lab.NodeName, Kernel: openNode(b, l.Node), Feed: func(c *compile.Compiler) { change(c) },
				Metrics: agent.NewMetrics(), Log: logr.Discard(),
			}
			lab.Must(b, s.Sync(b.Context()))
			before := cpuTime(b)
			for i := 0; b.Loop(); i++ {
				change = func(c *compile.Compiler) { c.SetPolicy(last) }
				if i%2 == 0 {
					change = func(c *compile.Compiler) { c.DeletePolicy(last.Namespace, last.Name) }
				}
				lab.Must(b, s.Sync(b.Context()))
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// cpuTime is what this process and the programs that it ran have used, whatever else the machine does.
func cpuTime(b *testing.B) time.Duration {
	var total time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var usage unix.Rusage
		lab.Must(b, unix.Getrusage(who, &usage))
		total += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return total
}
