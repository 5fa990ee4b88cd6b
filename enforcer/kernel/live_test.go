package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
)

// stream is an established TCP connection between two hosts.
type stream struct{ client, server net.Conn }

// dial connects from one host to another; the packets are real, so the rules must allow it.
func (l *lab) dial(t *testing.T, from, to host, v6 bool, port uint16) stream {
	t.Helper()
	var s stream
	var listener net.Listener
	must(t, in(to.ns, func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(to.address(v6), port).String())
		return err
	}))
	defer func() { _ = listener.Close() }()
	must(t, in(from.ns, func() (err error) {
		dialer := net.Dialer{Timeout: 5 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from.address(v6), 0))}
		s.client, err = dialer.Dial("tcp", netip.AddrPortFrom(to.address(v6), port).String())
		return err
	}))
	server, err := listener.Accept()
	must(t, err)
	s.server = server
	t.Cleanup(func() { _, _ = s.client.Close(), s.server.Close() })
	return s
}

// sends tells whether a byte written at one end arrives at the other in time.
func sends(t *testing.T, from, to net.Conn, patience time.Duration) bool {
	t.Helper()
	if _, err := from.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	must(t, to.SetReadDeadline(time.Now().Add(patience)))
	_, err := to.Read(make([]byte, 1))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	must(t, err)
	return true
}

const (
	soon = 5 * time.Second        // for what is to happen: TCP may wait to send again
	idle = 400 * time.Millisecond // for what is not to
)

// A change of policy takes effect on connections that are established, in both directions, and
// lets them go on when it is taken back.
func TestAChangeTakesEffectOnLiveConnections(t *testing.T) {
	l := newLab(t)
	client, server := l.hosts[0], l.hosts[1]
	open, closed := l.shop(), l.shop()
	open.Policies = []*networkingv1.NetworkPolicy{parsePolicy(t, "p", `{podSelector: {}, ingress: [{ports: [{port: 80}]}]}`)}
	for _, test := range []struct{ name, policy string }{
		{"ingress", `{podSelector: {}, ingress: [{ports: [{port: 81}]}]}`},
		{"egress", `{podSelector: {}, policyTypes: [Egress]}`},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, IPv6 %v", test.name, v6), func(t *testing.T) {
				closed.Policies = []*networkingv1.NetworkPolicy{parsePolicy(t, "p", test.policy)}
				table := l.load(t, open, 1)
				s := l.dial(t, client, server, v6, 80)
				if !sends(t, s.client, s.server, soon) || !sends(t, s.server, s.client, soon) {
					t.Fatal("an allowed connection does not work")
				}

				table = l.change(t, table, closed, 2)
				if sends(t, s.client, s.server, idle) {
					t.Error("the client still reaches the server")
				}
				if sends(t, s.server, s.client, idle) {
					t.Error("the server still reaches the client")
				}

				l.change(t, table, open, 3)
				must(t, s.server.SetReadDeadline(time.Now().Add(soon)))
				if _, err := s.server.Read(make([]byte, 1)); err != nil {
					t.Errorf("the connection does not go on when it is allowed again: %v", err)
				}
			})
		}
	}
}

// A connection that a change does not concern goes on, although it is judged again, and also on
// its replies alone: a reply is not a connection of the pod that answers.
func TestAChangeSparesOtherConnections(t *testing.T) {
	l := newLab(t)
	client, server := l.hosts[0], l.hosts[1]
	snapshot := l.shop()
	before := l.load(t, snapshot, 1)
	s := l.dial(t, client, server, false, 80)
	// The server may not connect to anyone, nor anyone to the client.
	snapshot.Policies = []*networkingv1.NetworkPolicy{
		parsePolicy(t, "server", `{podSelector: {matchLabels: {app: b}}, policyTypes: [Egress]}`),
		parsePolicy(t, "client", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress]}`),
	}
	l.change(t, before, snapshot, 2)
	if !sends(t, s.server, s.client, soon) {
		t.Error("the reply, the first packet after the change, is lost")
	}
	if !sends(t, s.client, s.server, soon) {
		t.Error("the connection is cut")
	}
}

// A pod that reaches itself through a service is never blocked: the packet leaves the pod, is
// translated, and comes back.
func TestAPodReachesItselfThroughAService(t *testing.T) {
	l := newLab(t)
	pod := l.hosts[0]
	snapshot := l.shop()
	snapshot.Policies = []*networkingv1.NetworkPolicy{parsePolicy(t, "p", `{podSelector: {}, policyTypes: [Ingress, Egress]}`)}
	l.load(t, snapshot, 1)
	// What kube-proxy does for a service of one endpoint, hairpin masquerade included.
	l.nft(t, fmt.Sprintf(`table ip service {
		chain prerouting { type nat hook prerouting priority dstnat; ip daddr 10.96.0.1 tcp dport 80 dnat to %s:80; }
		chain postrouting { type nat hook postrouting priority srcnat; ip saddr %s ip daddr %s masquerade; }
	}`, pod.v4, pod.v4, pod.v4))
	service := host{name: "service", v4: netip.MustParseAddr("10.96.0.1")}
	if !l.probe(t, []cell{{from: pod, to: service, protocol: "TCP", port: 80}}, soon)[0] {
		t.Error("blocked")
	}
}

// A service's address is translated before a connection is judged: by the pod that answers.
func TestAServiceIsJudgedByItsEndpoint(t *testing.T) {
	l := newLab(t)
	client, server := l.hosts[0], l.hosts[1]
	l.nft(t, fmt.Sprintf(`table ip service {
		chain prerouting { type nat hook prerouting priority dstnat; ip daddr 10.96.0.1 tcp dport 443 dnat to %s:8080; }
		chain postrouting { type nat hook postrouting priority srcnat; oifname "veth*" masquerade; }
	}`, server.v4))
	service := host{name: "service", v4: netip.MustParseAddr("10.96.0.1")}
	for _, test := range []struct {
		name, policy string
		want         bool
	}{
		{"the pod's port is allowed", `{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 8080}]}]}`, true},
		{"the service's port is not", `{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 443}]}]}`, false},
		{"egress to the pod is allowed", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: b}}}]}]}`, true},
		{"egress to the service's address is not", `{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.0/16}}]}]}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			snapshot := l.shop()
			snapshot.Policies = []*networkingv1.NetworkPolicy{parsePolicy(t, "p", test.policy)}
			l.load(t, snapshot, 1)
			patience := map[bool]time.Duration{true: soon, false: idle}[test.want]
			if got := l.probe(t, []cell{{from: client, to: service, protocol: "TCP", port: 443}}, patience)[0]; got != test.want {
				t.Errorf("passes: %v, want %v", got, test.want)
			}
		})
	}
}

// However the kernel got to a ruleset, it holds the same one.
func TestTheKernelForgetsThePath(t *testing.T) {
	l := newLab(t)
	empty, full := reach.Snapshot{Nodes: l.nodes()}, l.shop()
	full.Policies = []*networkingv1.NetworkPolicy{
		parsePolicy(t, "a", `{podSelector: {}, ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: web}, {port: 1}, {port: 3}]}]}`),
	}
	want := func(s reach.Snapshot) string { l.load(t, s, 7); return l.list(t) }
	wantEmpty, wantFull := want(empty), want(full)

	table := l.load(t, empty, 7)
	for range 2 {
		table = l.change(t, table, full, 7)
		if got := l.list(t); got != wantFull {
			t.Fatalf("got:\n%s\nwant:\n%s", got, wantFull)
		}
		table = l.change(t, table, empty, 7)
		if got := l.list(t); got != wantEmpty {
			t.Fatalf("got:\n%s\nwant:\n%s", got, wantEmpty)
		}
	}
}

// change applies the difference between what the kernel holds and a snapshot's ruleset.
func (l *lab) change(t tester, before nft.Table, snapshot reach.Snapshot, generation uint16) nft.Table {
	t.Helper()
	after := compile.Compile(snapshot, nodeName).Table(generation)
	l.apply(t, nft.Diff(before, after))
	return after
}

// nft loads a script into the node.
func (l *lab) nft(t *testing.T, script string) {
	t.Helper()
	must(t, in(l.node, func() error {
		cmd := exec.CommandContext(context.Background(), "nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}))
}
