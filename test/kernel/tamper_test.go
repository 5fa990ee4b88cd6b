package kernel

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// What somebody else does to the table is noticed, and the table is written again. What is done to
// other tables is not the enforcer's business.
func TestWhatIsDoneToTheTableIsUndone(t *testing.T) {
	l := newLab(t, lab.Routed)
	const elsewhere = "table ip other { set s { type ipv4_addr; elements = { 1.2.3.4 }; }; chain c { counter accept; }; }"
	l.NFT(t, elsewhere)
	snapshot := l.Shop()
	snapshot.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p",
		`{podSelector: {}, ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: "2000::/3"}}], ports: [{port: web}, {port: 1}, {port: 3, endPort: 5}]}]}`)}
	kernel := openNode(t, l.Node)
	s := &agent.Syncer{
		Node: lab.NodeName, Kernel: kernel, Feed: agenttest.Source(func() reach.Snapshot { return snapshot }),
		Metrics: agent.NewMetrics(), Log: logr.Discard(),
	}
	lab.Must(t, s.Sync(t.Context()))
	generation := regexp.MustCompile(`0x[0-9a-f]{8}|generation [0-9]+`)
	want := generation.ReplaceAllString(list(t, l.Node), "G")
	chain := regexp.MustCompile(`chain (ingress-x-\S+)`).FindStringSubmatch(want)[1]
	block := regexp.MustCompile(`set (block4-\S+)`).FindStringSubmatch(want)[1]
	fill := strings.NewReplacer("GROUP", chain, "BLOCK", block)
	for _, test := range []struct{ name, script string }{
		{"the table is deleted", `delete table inet apptier`},
		{"the ruleset is flushed", `flush ruleset; ` + elsewhere},
		{"the table is switched off", `add table inet apptier { flags dormant; }`},
		{"the base chain lets everything pass", `insert rule inet apptier forward accept`},
		{"a chain is flushed", `flush chain inet apptier GROUP`},
		{"a rule is added", `add rule inet apptier judge accept`},
		{"a chain is added", `add chain inet apptier more`},
		{"the base chain is deleted", `delete chain inet apptier forward`},
		{"an element of a map is deleted", `delete element inet apptier ingress4 { 10.244.0.2 }`},
		{"an element of a map is another", `delete element inet apptier ingress4 { 10.244.0.2 }; add element inet apptier ingress4 { 10.244.0.2 : accept }`},
		{"an element of a set is added", `add element inet apptier known4 { 10.244.0.99 }`},
		{"a range is deleted", `delete element inet apptier BLOCK { 10.0.0.0/16 }`},
		{"a set is added", `add set inet apptier more { type ipv4_addr; }`},
		{"a counter is added", `add counter inet apptier more`},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				verify(t, s)
			}
			l.NFT(t, fill.Replace(test.script))
			if ok, err := s.Verify(t.Context()); ok || err != nil {
				t.Fatalf("not noticed: %v, %v", ok, err)
			}
			lab.Must(t, s.Sync(t.Context()))
			if diff := cmp.Diff(want, generation.ReplaceAllString(list(t, l.Node), "G")); diff != "" {
				t.Errorf("not undone (-want +got):\n%s", diff)
			}
		})
	}
	change := func(pods int) {
		snapshot.Pods = l.Shop().Pods[:pods]
		lab.Must(t, s.Sync(t.Context()))
	}
	t.Run("what the agent itself changes needs no listing of all elements", func(t *testing.T) {
		verify(t, s)
		before := kernel.listings
		for _, pods := range []int{3, 6, 2, 7} {
			change(pods)
			verify(t, s)
		}
		if n := kernel.listings - before; n > 0 {
			t.Errorf("%d listings", n)
		}
	})
	t.Run("what somebody else changes between two changes of the agent is noticed", func(t *testing.T) {
		change(6)
		l.NFT(t, `delete element inet apptier ingress4 { 10.244.0.2 }`)
		change(5)
		if ok, err := s.Verify(t.Context()); ok || err != nil {
			t.Errorf("not noticed: %v, %v", ok, err)
		}
		lab.Must(t, s.Sync(t.Context()))
	})
	t.Run("a glance sees rules, and lists no elements", func(t *testing.T) {
		glance := func() bool {
			t.Helper()
			ok, err := s.Glance(t.Context())
			lab.Must(t, err)
			return ok
		}
		verify(t, s)
		before := kernel.listings
		l.NFT(t, `add element ip other s { 7.8.9.10 }`)
		if !glance() {
			t.Error("another table is taken for the own")
		}
		l.NFT(t, `insert rule inet apptier forward accept`)
		if glance() {
			t.Error("not noticed")
		}
		if n := kernel.listings - before; n > 0 {
			t.Errorf("%d listings", n)
		}
		lab.Must(t, s.Sync(t.Context()))
	})
	t.Run("another table changes", func(t *testing.T) {
		l.NFT(t, `add element ip other s { 5.6.7.8 }`)
		if ok, err := s.Verify(t.Context()); !ok || err != nil {
			t.Errorf("taken for a change of the table: %v, %v", ok, err)
		}
	})
}

// verify wants the kernel to hold what was written there.
func verify(t lab.Tester, s *agent.Syncer) {
	t.Helper()
	if ok, err := s.Verify(context.Background()); !ok || err != nil {
		t.Fatal("what was written does not look so:", ok, err)
	}
}
