package kernel

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/reach"
)

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
