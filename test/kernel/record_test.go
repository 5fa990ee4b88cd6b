package kernel

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
	"github.com/apptier/apptier/enforcer/flows/kernel"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// seen reads what the node's kernel recorded: how often, by what it was, as
// "Denied ingress local-0 -> local-1 6 80". Addresses are named by their hosts.
func (l labNode) seen(t testing.TB, from nft.Kernel) (map[string]uint64, flows.Reading) {
	t.Helper()
	reading, err := kernel.Read(t.Context(), from)
	lab.Must(t, err)
	names := map[netip.Addr]string{}
	for _, h := range l.Hosts {
		names[h.V4], names[h.V6] = h.Name, h.Name+" (IPv6)"
	}
	name := func(a netip.Addr) string {
		if known := names[a]; known != "" {
			return known
		}
		return a.String()
	}
	counts := map[string]uint64{}
	for _, s := range reading.Seen {
		if s.Initiator.IsLinkLocalUnicast() || s.Initiator.IsUnspecified() {
			continue // the pods' kernels join groups of multicast on a bridge, whenever they like
		}
		what := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", s.Verdict, s.Reason, s.Direction)), " ")
		key := fmt.Sprintf("%s: %s -> %s %d %d", what, name(s.Initiator), name(s.Server), s.Protocol, s.Port)
		if _, again := counts[key]; again {
			t.Errorf("%s is there twice", key)
		}
		counts[key] = s.Count
		if s.Age < 0 || s.Age > compile.RecordTimeout {
			t.Errorf("%s is %v old", key, s.Age)
		}
	}
	return counts, reading
}

// Each connection that is denied, would be, or passes is recorded under its initiator, server, protocol and port, and
// counts each of its packets, or each time that it was judged.
func TestConnectionsAreRecorded(t *testing.T) {
	for _, test := range []struct {
		name, enforced, staged string
		from, to               string
		protocol               corev1.Protocol
		port                   uint16
		service                bool
		want                   string
		counter                string
	}{
		{name: "TCP is denied at the server", enforced: "{podSelector: {}}", protocol: corev1.ProtocolTCP, port: 80,
			want: "Denied ingress Ingress: local-0 -> local-1 6 80", counter: "denied-ingress"},
		{name: "UDP is denied at the client", enforced: "{podSelector: {}, policyTypes: [Egress]}", protocol: corev1.ProtocolUDP, port: 81,
			want: "Denied egress Egress: local-0 -> local-1 17 81", counter: "denied-egress"},
		{name: "SCTP", enforced: "{podSelector: {}}", protocol: corev1.ProtocolSCTP, port: 80,
			want: "Denied ingress Ingress: local-0 -> local-1 132 80", counter: "denied-ingress"},
		{name: "ICMP has no port", enforced: "{podSelector: {}}", protocol: lab.ICMP,
			want: "Denied ingress Ingress: local-0 -> local-1 ICMP 0", counter: "denied-ingress"},
		{name: "to a Service, the pod's address and port", enforced: "{podSelector: {}}", protocol: corev1.ProtocolTCP, port: servicePort, service: true,
			want: "Denied ingress Ingress: local-0 -> local-1 6 8080", counter: "denied-ingress"},
		{name: "an address that no pod has yet", from: "local-7", protocol: corev1.ProtocolUDP, port: 80,
			want: "Denied unknown_pod: local-7 -> local-1 17 80", counter: "denied-unknown"},
		{name: "would be denied at the server", staged: "{podSelector: {}}", protocol: corev1.ProtocolUDP, port: 80,
			want: "WouldDeny Ingress: local-0 -> local-1 17 80", counter: "would-deny-ingress"},
		{name: "would be denied at the client", staged: "{podSelector: {}, policyTypes: [Egress]}", protocol: corev1.ProtocolTCP, port: 80,
			want: "WouldDeny Egress: local-0 -> local-1 6 80", counter: "would-deny-egress"},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, IPv6 %v", test.name, v6), func(t *testing.T) {
				l := newLab(t, map[bool]lab.Wiring{false: lab.Routed, true: lab.Bridged}[v6])
				l.Listen(t, []uint16{80, 81})
				from, to := l.Host("local-0"), l.Host("local-1")
				if test.from != "" {
					from = l.Host(test.from)
				}
				s := l.Shop()
				if test.enforced != "" {
					s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "enforced", test.enforced)}
				}
				if test.staged != "" {
					s.Staged = []*networkingv1.NetworkPolicy{lab.Policy(t, "staged", test.staged)}
				}
				l.Load(t, s, 1)
				cell := lab.Cell{From: from, To: to, V6: v6, Protocol: test.protocol, Port: test.port}
				if test.service {
					l.serve(t, to, 8080, hairpins)
					cell.To = service
				}
				for range 3 {
					if passed := l.Probe(t, []lab.Cell{cell}, map[bool]time.Duration{true: soon, false: idle}[test.staged != ""]); passed[0] != (test.staged != "") {
						t.Errorf("passes %v", passed[0])
					}
				}
				want := strings.ReplaceAll(test.want, "ICMP", map[bool]string{false: "1", true: "58"}[v6])
				if v6 {
					want = strings.NewReplacer("local-0", "local-0 (IPv6)", "local-1", "local-1 (IPv6)", "local-7", "local-7 (IPv6)").Replace(want)
				}
				k := openNode(t, l.Node).Kernel
				counts, err := nft.Counts(t.Context(), k)
				lab.Must(t, err)
				got, reading := l.seen(t, k)
				// TCP repeats its first packet as long as nobody answers, so how many there were the counter knows.
				if diff := cmp.Diff(map[string]uint64{want: counts[test.counter]}, got); diff != "" || counts[test.counter] < 3 {
					t.Errorf("-want +got:\n%s\nof %v", diff, counts)
				}
				for reason, missed := range reading.Missed {
					if missed > 0 {
						t.Errorf("%d of %s are missed", missed, reason)
					}
				}
			})
		}
	}
}

// Connections that pass are recorded where that is asked for, once, whether or not a policy is about them.
func TestAllowedConnectionsAreRecorded(t *testing.T) {
	l := newLab(t, lab.Routed)
	l.RecordAllowed = true
	for _, policy := range []string{"", "{podSelector: {}, ingress: [{}]}"} {
		t.Run(policy, func(t *testing.T) {
			s := l.Shop()
			if policy != "" {
				s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", policy)}
			}
			l.Unload(t)
			l.Load(t, s, 1)
			c := l.dial(t, l.Host("local-0"), l.Host("local-1"), false, 80)
			for range 3 {
				if !sends(t, c.client, c.server, soon) || !sends(t, c.server, c.client, soon) {
					t.Fatal("it does not pass")
				}
			}
			got, _ := l.seen(t, openNode(t, l.Node).Kernel)
			if diff := cmp.Diff(map[string]uint64{"Allowed: local-0 -> local-1 6 80": 1}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A pod that takes addresses of others is recorded by what it sends, and not more of it than one link may have.
func TestSpoofedSourcesAreRecorded(t *testing.T) {
	l := newLab(t, lab.Routed)
	l.Load(t, l.Shop(), 1)
	from, to := l.Host("local-0"), l.Host("local-1")
	const sent = 3000
	lab.Must(t, network.In(from.NS, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for i := range sent {
			if err := unix.Sendto(fd, datagram(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), to.V4, 53), 0, lab.Sockaddr(to.V4, 0)); err != nil {
				return err
			}
		}
		return nil
	}))
	got, reading := l.seen(t, openNode(t, l.Node).Kernel)
	if got["Denied spoofed: 203.0.0.0 -> local-1 17 53"] != 1 || len(got) > sent/2 {
		t.Errorf("%d are recorded: %v", len(got), got)
	}
	if total := uint64(len(got)) + reading.Missed["spoofed"]; total != sent {
		t.Errorf("%d are recorded or missed, of %d", total, sent)
	}
}

// datagram is a packet of UDP with its header.
func datagram(from, to netip.Addr, port uint16) []byte {
	p := make([]byte, 29)
	p[0], p[3], p[8], p[9] = 0x45, byte(len(p)), 64, unix.IPPROTO_UDP
	copy(p[12:], from.AsSlice())
	copy(p[16:], to.AsSlice())
	p[20], p[22], p[23], p[25] = 0x9c, byte(port>>8), byte(port), 9
	return p
}

// scan sends a datagram to each of many ports of many addresses.
func scan(t testing.TB, from lab.Host, addresses []netip.Addr, ports int) {
	t.Helper()
	lab.Must(t, network.In(from.NS, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, a := range addresses {
			for port := range ports {
				for {
					err := unix.Sendto(fd, []byte("x"), 0, lab.Sockaddr(a, uint16(port+1)))
					if err == nil || err == unix.ECONNREFUSED || err == unix.EPERM {
						break
					}
					if err != unix.ENOBUFS && err != unix.EAGAIN {
						return err
					}
				}
			}
		}
		return nil
	}))
}

// Who tries 100,000 targets takes a bounded part of what can be recorded, and hides nobody else's first denial; neither
// on its way out nor where it arrives.
func TestAScanHidesNobodyElse(t *testing.T) {
	for _, test := range []struct{ name, policy, reason, direction string }{
		{"egress", "{podSelector: {}, policyTypes: [Egress]}", "egress", "Egress"},
		{"ingress", "{podSelector: {}}", "ingress", "Ingress"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, lab.Routed)
			s := l.Shop()
			s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", test.policy)}
			l.Load(t, s, 1)
			scanner, other, target := l.Host("local-0"), l.Host("local-2"), l.Host("local-1")
			const ports = 50_000
			scan(t, scanner, []netip.Addr{target.V4, target.V4}, ports)
			k := openNode(t, l.Node).Kernel
			before, reading := l.seen(t, k)
			if n := len(before); n == 0 || n > 1000 {
				t.Errorf("a scan is recorded %d times", n)
			}
			var counted uint64
			for _, n := range before {
				counted += n
			}
			counts, err := nft.Counts(t.Context(), k)
			lab.Must(t, err)
			if all := counts["denied-"+test.reason]; counted+reading.Missed[test.reason] != all || all < 2*ports {
				t.Errorf("%d are recorded and %d missed, of %d", counted, reading.Missed[test.reason], all)
			}
			if passed := l.Probe(t, []lab.Cell{{From: other, To: target, Protocol: corev1.ProtocolTCP, Port: 5432}}, idle); passed[0] {
				t.Error("another's connection passes")
			}
			after, _ := l.seen(t, k)
			if key := fmt.Sprintf("Denied %s %s: local-2 -> local-1 6 5432", test.reason, test.direction); after[key] == 0 {
				t.Errorf("another's first denial is hidden: %s", key)
			}
		})
	}
}

// Where there is no space any more, what may pass passes, and what may not does not; all of it is counted.
func TestAFullSetChangesNoVerdict(t *testing.T) {
	l := newLab(t, lab.Routed)
	l.RecordAllowed = true
	l.Listen(t, []uint16{80, 81})
	s := l.Shop()
	s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, ingress: [{ports: [{port: 80, protocol: UDP}]}]}`)}
	s.Staged = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", `{podSelector: {}, ingress: [{ports: [{port: 82, protocol: UDP}]}]}`)}
	table := l.Table(s, 1)
	for name, set := range table.Sets {
		if set.Dynamic != (nft.Dynamic{}) {
			set.Dynamic.Size = 1
			table.Sets[name] = set
		}
	}
	l.Apply(t, nft.Replace(table))
	from, to := l.Host("local-0"), l.Host("local-1")
	var cells []lab.Cell
	for _, port := range []uint16{80, 81} {
		for _, client := range []lab.Host{from, l.Host("local-2"), l.Host("world-7")} {
			cells = append(cells, lab.Cell{From: client, To: to, Protocol: corev1.ProtocolUDP, Port: port})
		}
	}
	for range 3 {
		for i, passed := range l.Probe(t, cells, idle) {
			if passed != (cells[i].Port == 80) {
				t.Errorf("%s passes: %v", cells[i], passed)
			}
		}
	}
	k := openNode(t, l.Node).Kernel
	got, reading := l.seen(t, k)
	if len(got) != 3 || reading.Missed["ingress"] == 0 || reading.Missed["WouldDeny"] == 0 || reading.Missed["Allowed"] == 0 {
		t.Errorf("recorded %v, missed %v", got, reading.Missed)
	}
}

// What is recorded outlasts changes of the rules.
func TestAChangeForgetsNoRecord(t *testing.T) {
	l := newLab(t, lab.Routed)
	s := l.Shop()
	s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", "{podSelector: {}}")}
	table := l.Load(t, s, 1)
	cell := []lab.Cell{{From: l.Host("local-0"), To: l.Host("local-1"), Protocol: corev1.ProtocolUDP, Port: 80}}
	l.expect(t, cell, false)
	k := openNode(t, l.Node).Kernel
	before, _ := l.seen(t, k)
	s.Policies = append(s.Policies, lab.Policy(t, "q", "{podSelector: {}, policyTypes: [Egress], egress: [{}]}"))
	s.Staged = []*networkingv1.NetworkPolicy{lab.Policy(t, "s", "{podSelector: {}}")}
	l.Change(t, table, s, 2)
	after, _ := l.seen(t, k)
	if diff := cmp.Diff(before, after); diff != "" || len(after) != 1 {
		t.Errorf("-before +after:\n%s", diff)
	}
	l.expect(t, cell, false)
	again, _ := l.seen(t, k)
	for _, count := range again {
		if len(again) != 1 || count != 2 {
			t.Errorf("another packet is not counted with the first: %v", again)
		}
	}
	contents, err := k.Contents(context.Background(), true)
	lab.Must(t, err)
	if n := len(contents.Sets["denied-ingress4"]); n > 0 {
		t.Errorf("%d of what is recorded is taken for the table's: %v", n, maps.Collect(maps.All(contents.Sets["denied-ingress4"])))
	}
}

// An agent that starts again, with or without tables of its own, keeps what was recorded; as does one whose table somebody
// has edited.
func TestARestartForgetsNoRecord(t *testing.T) {
	for _, owned := range []bool{true, false} {
		t.Run(map[bool]string{true: "owned", false: "not owned"}[owned], func(t *testing.T) {
			l := newLab(t, lab.Routed)
			s := l.Shop()
			s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", "{podSelector: {}}")}
			cell := []lab.Cell{{From: l.Host("local-0"), To: l.Host("local-1"), Protocol: corev1.ProtocolUDP, Port: 80}}
			const starts = 3
			for i := range starts {
				k, end := nft.Kernel(openNode(t, l.Node)), func() {}
				if owned {
					k, end = openOwned(t, l)
				}
				syncer := agent.Syncer{
					Node: lab.NodeName, Kernel: k, Log: logr.Discard(), Metrics: agent.NewMetrics(),
					Feed: func(c *compile.Compiler) { c.Tell(s) },
				}
				lab.Must(t, syncer.Sync(t.Context()))
				l.expect(t, cell, false)
				verify(t, &syncer)
				if !owned {
					l.NFT(t, "add chain inet apptier foreign; add rule inet apptier foreign ip saddr { 1.2.3.4, 1.2.3.5 } drop; flush chain inet apptier judge")
					if ok, err := syncer.Verify(t.Context()); ok || err != nil {
						t.Errorf("an edit is not seen: %v", err)
					}
					lab.Must(t, syncer.Sync(t.Context()))
					verify(t, &syncer)
				}
				got, _ := l.seen(t, openNode(t, l.Node).Kernel)
				if diff := cmp.Diff(map[string]uint64{"Denied ingress Ingress: local-0 -> local-1 17 80": uint64(i) + 1}, got); diff != "" {
					t.Errorf("start %d: -want +got:\n%s", i, diff)
				}
				end()
			}
		})
	}
}
