package kernel

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// BenchmarkAPacketUnderManyPolicies is a packet that is denied, and so judged by all that there is: how
// it would be one rule after the other, and how it is. The compiler's threshold is where it shows.
func BenchmarkAPacketUnderManyPolicies(b *testing.B) {
	for _, shape := range []struct {
		name string
		port ports
		most int // policies, within the budget of a namespace
	}{
		{"a peer each", func(int) string { return "{protocol: UDP, port: 9}" }, 1000},
		{"a peer and a port each", func(i int) string { return fmt.Sprintf("{protocol: UDP, port: %d}", 1000+i) }, 1000},
		{"a peer and 50 ports each", fiftyPorts, 400}, {"a peer and overlapping ranges each", crossingRanges, 1000},
	} {
		for _, policies := range []int{0, 1, 4, 8, 16, 32, 100, 300, 1000} {
			if policies > shape.most {
				continue
			}
			for name, above := range map[string]int{"one by one": math.MaxInt, "as it is": 0} {
				b.Run(fmt.Sprintf("%s/%d/%s", shape.name, policies, name), func(b *testing.B) {
					l := newLab(b, lab.Routed)
					l.MergeAbove = above
					l.Load(b, l.crowd(b, shape.port, policies), 1)
					sendDenied(b, l)
				})
			}
		}
	}
}

// ports are those of the i-th policy's rule, as they are written.
type ports func(i int) string

// fiftyPorts are every other one, so that they are no range.
func fiftyPorts(i int) string {
	var all []string
	for n := range 50 {
		all = append(all, fmt.Sprintf("{protocol: UDP, port: %d}", 1000+60*i+i%2+2*n))
	}
	return strings.Join(all, ", ")
}

// crossingRanges begin and end within those of the policies before and after.
func crossingRanges(i int) string {
	return fmt.Sprintf("{protocol: UDP, port: %d, endPort: %d}", 1000+50*i, 1000+50*i+120)
}

// crowd has this many policies select one pod, and none of them allow what is sent.
func (l labNode) crowd(t testing.TB, port ports, policies int) reach.Snapshot {
	s := l.Shop()
	s.Policies = append(s.Policies, lab.Policy(t, "deny", `{podSelector: {matchLabels: {app: b}}}`))
	for i := range policies {
		p := lab.Policy(t, fmt.Sprintf("p%d", i), fmt.Sprintf(
			`{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {peer: "%d"}}}], ports: [%s]}]}`,
			i, port(i)))
		s.Policies = append(s.Policies, p)
	}
	return s
}

func sendDenied(b *testing.B, l labNode) {
	from, to := l.Host("local-0"), l.Host("local-1")
	var fd int
	lab.Must(b, network.In(from.NS, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	defer func() { lab.Must(b, unix.Close(fd)) }()
	lab.Must(b, unix.Connect(fd, lab.Sockaddr(netip.AddrFrom4(to.V4.As4()), 9)))
	before := cpuTime(b)
	for b.Loop() {
		if _, err := unix.Write(fd, []byte{0}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
