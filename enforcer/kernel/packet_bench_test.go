package kernel

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/network"
)

// BenchmarkAPacketUnderManyPolicies is a packet that is denied, and so judged by all that there is: how
// it would be one rule after the other, and how it is. The compiler's threshold is where it shows.
func BenchmarkAPacketUnderManyPolicies(b *testing.B) {
	for _, shape := range []struct {
		name string
		port func(i int) int
	}{
		{"a peer each", func(int) int { return 9 }}, {"a peer and a port each", func(i int) int { return 1000 + i }},
	} {
		for _, policies := range []int{0, 1, 4, 8, 16, 32, 100, 1000} {
			for name, above := range map[string]int{"one by one": math.MaxInt, "as it is": 0} {
				b.Run(fmt.Sprintf("%s/%d/%s", shape.name, policies, name), func(b *testing.B) {
					l := newLab(b)
					l.mergeAbove = above
					l.load(b, l.crowd(b, shape.port, policies), 1)
					sendDenied(b, l)
				})
			}
		}
	}
}

// crowd has this many policies select one pod, and none of them allow what is sent.
func (l *lab) crowd(t testing.TB, port func(int) int, policies int) reach.Snapshot {
	s := l.shop()
	s.Policies = append(s.Policies, parsePolicy(t, "deny", `{podSelector: {matchLabels: {app: b}}}`))
	for i := range policies {
		p := parsePolicy(t, fmt.Sprintf("p%d", i), fmt.Sprintf(
			`{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {peer: "%d"}}}], ports: [{protocol: UDP, port: %d}]}]}`,
			i, port(i)))
		s.Policies = append(s.Policies, p)
	}
	return s
}

func sendDenied(b *testing.B, l *lab) {
	from, to := l.host("local-0"), l.host("local-1")
	var fd int
	must(b, network.In(from.ns, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	defer func() { must(b, unix.Close(fd)) }()
	must(b, unix.Connect(fd, sockaddr(netip.AddrFrom4(to.v4.As4()), 9)))
	before := cpuTime(b)
	for b.Loop() {
		if _, err := unix.Write(fd, []byte{0}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
