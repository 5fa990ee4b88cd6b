package kernel

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/go-logr/logr"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// run runs a whole agent on the lab's node, over an API server that is not real, until the test ends.
func (l labNode) run(t *testing.T, s reach.Snapshot) kubernetes.Interface {
	t.Helper()
	client := fake.NewClientset(objects(s)...)
	l.runWith(t, client, agent.Options{Node: lab.NodeName, Log: logr.Discard()})
	return client
}

// runWith runs it over any API server; without a kernel of the options, on the node's own.
func (l labNode) runWith(t *testing.T, client kubernetes.Interface, o agent.Options) {
	t.Helper()
	o.Client = client
	if o.Kernel == nil {
		o.Kernel = openNode(t, l.Node)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- agent.Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		lab.Must(t, <-done)
	})
}

// eventually waits for what must come soon.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func objects(s reach.Snapshot) []runtime.Object {
	var out []runtime.Object
	for _, o := range s.Nodes {
		out = append(out, o)
	}
	for _, o := range s.Namespaces {
		out = append(out, o)
	}
	for _, o := range s.Pods {
		out = append(out, o)
	}
	for _, o := range s.Policies {
		out = append(out, o)
	}
	return out
}

// put writes a policy of the namespace x, in place of one of its name.
func put(t *testing.T, client kubernetes.Interface, policy *networkingv1.NetworkPolicy) {
	t.Helper()
	_, err := client.NetworkingV1().NetworkPolicies("x").Update(t.Context(), policy, metav1.UpdateOptions{})
	lab.Must(t, err)
}

// What a policy forbids stops, from the change of the object to the last packet within a moment,
// and goes on when it is allowed again: TCP and UDP, to a pod directly and through a service.
func TestAPolicyCutsLiveFlows(t *testing.T) {
	eachWiring(t, func(t *testing.T, l labNode) {
		client, server := l.Host("local-0"), l.Host("local-1")
		open, closed := lab.Policy(t, "p", `{podSelector: {}, ingress: [{}]}`), lab.Policy(t, "p", `{podSelector: {}}`)
		snapshot := l.Shop()
		snapshot.Policies = []*networkingv1.NetworkPolicy{open}
		api := l.run(t, snapshot)
		l.serve(t, server, 8080, hairpins)
		l.awaitRules(t)

		var streams []*stream
		for _, v6 := range []bool{false, true} {
			name := map[bool]string{false: "IPv4", true: "IPv6"}[v6]
			direct, through := netip.AddrPortFrom(server.Address(v6), 80), netip.AddrPortFrom(service.Address(v6), servicePort)
			streams = append(streams, l.startStreams(t, name+" direct", client, server, direct, 80)...)
			streams = append(streams, l.startStreams(t, name+" service", client, server, through, 8080)...)
		}
		for _, s := range streams {
			if !s.flows(soon) {
				t.Fatalf("%s: does not flow although it may", s.name)
			}
		}
		changed := time.Now()
		put(t, api, closed)
		<-time.After(time.Second)
		for _, s := range streams {
			t.Logf("%s: the last packet arrived %v after the change", s.name, s.lastAfter(changed).Round(100*time.Microsecond))
			if s.flows(idle) {
				t.Errorf("%s: is not cut", s.name)
			}
		}
		put(t, api, open)
		for _, s := range streams {
			if !s.flows(soon) {
				t.Errorf("%s: does not go on when it may again", s.name)
			}
		}
	})
}

// awaitRules waits until the agent's rules are there: until then an unknown pod is open.
func (l labNode) awaitRules(t *testing.T) {
	t.Helper()
	closed := []lab.Cell{{From: l.Host("local-7"), To: l.Host("world-8"), Protocol: lab.ICMP}}
	eventually(t, "the rules are there", func() bool { return !l.Probe(t, closed, 50*time.Millisecond)[0] })
}

// Connections that stay allowed lose nothing, whatever else changes, and however it is that they
// are allowed.
func TestAllowedFlowsLoseNoPacket(t *testing.T) {
	t.Parallel()
	changes := 2000
	if testing.Short() {
		changes = 100
	}
	l := newLab(t, lab.Routed)
	client, server := l.Host("local-0"), l.Host("local-1")
	l.serve(t, server, 8080, hairpins)
	snapshots := l.waysToAllow(t)
	table := l.Load(t, snapshots[0], 1)
	streams := l.startStreams(t, "direct", client, server, netip.AddrPortFrom(server.V4, 80), 80)
	streams = append(streams, l.startStreams(t, "service", client, server, netip.AddrPortFrom(service.V6, servicePort), 8080)...)
	kernel := openNode(t, l.Node)
	began := time.Now()
	for i := range changes {
		after := compile.Compile(snapshots[(i+1)%len(snapshots)], lab.NodeName).Table(uint16(i + 2))
		lab.Must(t, nft.Apply(t.Context(), kernel, nft.Diff(table, after)))
		table = after
	}
	took := time.Since(began)
	for _, s := range streams {
		sent := s.sent.Load()
		for deadline := time.Now().Add(soon); s.arrived.Load() < sent && time.Now().Before(deadline); {
			<-time.After(streamPace)
		}
		lost := max(0, sent-s.arrived.Load())
		t.Logf("%s: %d packets, %d lost, during %d changes in %v", s.name, sent, lost, changes, took.Round(time.Millisecond))
		if lost > 0 {
			t.Errorf("%s: %d packets lost", s.name, lost)
		}
	}
}

// waysToAllow are snapshots that all let local-0 connect to local-1.
func (l labNode) waysToAllow(t *testing.T) []reach.Snapshot {
	t.Helper()
	var out []reach.Snapshot
	for _, policies := range [][]string{
		{`{podSelector: {}, ingress: [{}]}`},
		{`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}`},
		{`{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}], egress: [{to: [{podSelector: {}}]}]}`},
		{},
		{`{podSelector: {}}`, `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: "fd00::/8"}}], ports: [{port: 80}, {port: 8080}, {protocol: UDP}]}]}`},
		{`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}`, `{podSelector: {matchLabels: {app: c}}}`},
	} {
		s := l.Shop()
		for i, p := range policies {
			s.Policies = append(s.Policies, lab.Policy(t, string(rune('p'+i)), p))
		}
		out = append(out, s)
	}
	// One that differs in a pod alone.
	s := l.Shop()
	s.Pods = s.Pods[:5]
	return append(out, s)
}
