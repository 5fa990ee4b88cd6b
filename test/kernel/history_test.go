package kernel

import (
	"context"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// However the kernel got to a ruleset, it holds the same one.
func TestTheKernelForgetsThePath(t *testing.T) {
	l := newLab(t, lab.Routed)
	empty, full := reach.Snapshot{Nodes: l.Nodes()}, l.Shop()
	full.Policies = []*networkingv1.NetworkPolicy{
		lab.Policy(t, "a", `{podSelector: {}, ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: web}, {port: 1}, {port: 3}]}]}`),
	}
	want := func(s reach.Snapshot) string { l.Load(t, s, 7); return list(t, l.Node) }
	wantEmpty, wantFull := want(empty), want(full)

	table := l.Load(t, empty, 7)
	for range 2 {
		table = l.Change(t, table, full, 7)
		if got := list(t, l.Node); got != wantFull {
			t.Fatalf("got:\n%s\nwant:\n%s", got, wantFull)
		}
		table = l.Change(t, table, empty, 7)
		if got := list(t, l.Node); got != wantEmpty {
			t.Fatalf("got:\n%s\nwant:\n%s", got, wantEmpty)
		}
	}
}

// The same holds for a whole agent, whatever failed and whoever was restarted; package agent tests
// it too, on a kernel that is quicker and not real.
func TestAHistoryEndsInTheKernelWhereAFreshStartDoes(t *testing.T) {
	lab.RequireKernel(t)
	kernel, fresh := openNode(t, lab.NewNamespace(t)), openNode(t, lab.NewNamespace(t))
	rapid.Check(t, func(t *rapid.T) {
		lab.Must(t, nft.RemoveTable(context.Background(), kernel))
		world := agenttest.NewWorld()
		start := func() *agent.Syncer {
			return &agent.Syncer{Node: agenttest.Node, Kernel: kernel, Feed: agenttest.Source(world.Snapshot), Metrics: agent.NewMetrics(), Log: logr.Discard()}
		}
		s := start()
		sync := func(*rapid.T) { lab.Must(t, s.Sync(context.Background())) }
		t.Repeat(map[string]func(*rapid.T){
			"objects change": func(*rapid.T) { world.Change(t); world.Change(t) },
			"sync":           sync,
			"a transaction fails": func(*rapid.T) {
				kernel.refuse = true
				_ = s.Sync(context.Background())
				kernel.refuse = false
			},
			"the agent is restarted": func(*rapid.T) { s = start() },
		})
		sync(t)
		verify(t, s)
		text, _, err := nft.Marker(context.Background(), kernel, compile.StampChain)
		lab.Must(t, err)
		generation, _ := compile.DefaultMark.ParseGeneration(text)
		table := compile.Compile(world.Snapshot(), agenttest.Node).Table(generation)
		lab.Must(t, nft.Apply(context.Background(), fresh, nft.Replace(table)))
		if diff := cmp.Diff(list(t, fresh.ns), list(t, kernel.ns)); diff != "" {
			t.Fatalf("not what a fresh start writes (-want +got):\n%s", diff)
		}
	})
}
