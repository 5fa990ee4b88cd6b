package agent

import (
	"context"
	"errors"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
)

// faulty is a fake kernel that fails when told to, and counts transactions.
type faulty struct {
	*knftables.Fake
	err     error
	commits bool // a transaction that fails has taken nevertheless
	runs    int
	refuses string // what the kernel takes in no transaction

	mu sync.Mutex // of what it holds, for tests with a whole agent
}

// isolates tells whether the kernel sends what comes for an address through policies.
func (f *faulty) isolates(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Table.Maps["ingress4"].FindElement(address) != nil
}

// Check is nft.Kernel's.
func (f *faulty) Check(ctx context.Context, tx *knftables.Transaction) error {
	if f.refuses != "" && strings.Contains(tx.String(), f.refuses) {
		return errors.New("refused")
	}
	return f.Fake.Check(ctx, tx)
}

func (f *faulty) Run(ctx context.Context, tx *knftables.Transaction) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs++
	if err := f.Check(ctx, tx); err != nil {
		return err
	}
	if f.err != nil && f.commits {
		return errors.Join(f.err, f.Fake.Run(ctx, tx))
	}
	if f.err != nil {
		return f.err
	}
	return f.Fake.Run(ctx, tx)
}

// Contents is nft.Kernel's; rules have the form that they were written in.
func (f *faulty) Contents(context.Context, bool) (nft.Contents, error) {
	c := nft.Contents{Elements: true, Chains: map[string]nft.ChainContents{}, Sets: map[string]map[string]nft.Element{}, Counters: map[string]bool{}}
	if f.Table == nil {
		return c, nil
	}
	for name, chain := range f.Table.Chains {
		var listed nft.ChainContents
		if chain.Hook != nil {
			listed.Base = (&nft.Base{Hook: *chain.Hook, Priority: *chain.Priority, Policy: *chain.Policy}).In(compile.TableFamily)
		}
		for _, rule := range chain.Rules {
			listed.Rules = append(listed.Rules, rule.Rule)
		}
		c.Chains[name] = listed
	}
	elements := func(name string, all []*knftables.Element) {
		c.Sets[name] = map[string]nft.Element{}
		for _, e := range all {
			c.Sets[name][nft.Key(e.Key...)] = nft.Element{Value: strings.Join(e.Value, "")}
		}
	}
	for name, s := range f.Table.Sets {
		elements(name, s.Elements)
	}
	for name, m := range f.Table.Maps {
		elements(name, m.Elements)
	}
	for name := range f.Table.Counters {
		c.Counters[name] = true
	}
	return c, nil
}

// Revision is nft.Kernel's: what matters is that it changes.
func (f *faulty) Revision(context.Context) (uint32, error) {
	return crc32.ChecksumIEEE([]byte(f.Dump())), nil
}

func newFaulty() *faulty {
	return &faulty{Fake: knftables.NewFake(compile.TableFamily, compile.TableName)}
}

// cluster is what the syncer sees; tests change it.
type cluster struct{ reach.Snapshot }

func (c *cluster) snapshot() reach.Snapshot { return c.Snapshot }

func newSyncer(kernel nft.Kernel) (*Syncer, *cluster) {
	c := &cluster{reach.Snapshot{
		Pods: []*corev1.Pod{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
			Spec:       corev1.PodSpec{NodeName: "node"},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"},
		}},
		Policies: []*networkingv1.NetworkPolicy{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "deny"}}},
	}}
	return &Syncer{Node: "node", Kernel: kernel, Feed: agenttest.Source(c.snapshot), Metrics: NewMetrics(), Log: logr.Discard()}, c
}

func mustSync(t *testing.T, s *Syncer) {
	t.Helper()
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestNothingNewIsNoTransaction(t *testing.T) {
	kernel := newFaulty()
	s, _ := newSyncer(kernel)
	mustSync(t, s)
	mustSync(t, s)
	if kernel.runs != 1 {
		t.Errorf("%d transactions, want 1", kernel.runs)
	}
}

// A new generation has every live connection judged again.
func TestEveryChangeIsANewGeneration(t *testing.T) {
	kernel := newFaulty()
	s, c := newSyncer(kernel)
	mustSync(t, s)
	before := marker(t, kernel)
	c.Policies = nil
	mustSync(t, s)
	want := compile.DefaultMark.Next(before)
	if got := marker(t, kernel); got != want {
		t.Errorf("generation %d, want %d", got, want)
	}
}

// What a restarted agent writes must not bear the generation of what it finds.
func TestARestartIsANewGeneration(t *testing.T) {
	kernel := newFaulty()
	first, _ := newSyncer(kernel)
	mustSync(t, first)
	before := marker(t, kernel)
	second, _ := newSyncer(kernel)
	mustSync(t, second)
	if got, want := marker(t, kernel), compile.DefaultMark.Next(before); got != want {
		t.Errorf("generation %d, want %d", got, want)
	}
}

func TestAFailureKeepsTheLastGoodRulesAndStartsFromScratch(t *testing.T) {
	kernel := newFaulty()
	s, c := newSyncer(kernel)
	mustSync(t, s)
	good := kernel.Dump()

	c.Policies = nil
	kernel.err = errors.New("no buffer space")
	if err := s.Sync(t.Context()); !errors.Is(err, kernel.err) {
		t.Fatalf("got %v, want %v", err, kernel.err)
	}
	if diff := cmp.Diff(good, kernel.Dump()); diff != "" {
		t.Errorf("the rules changed: %s", diff)
	}
	if got := metric(t, s, "sync_failures_total"); got != 1 {
		t.Errorf("%v failures counted, want 1", got)
	}

	kernel.err = nil
	mustSync(t, s)
	if tx := kernel.LastTransaction.String(); !strings.Contains(tx, "delete table") {
		t.Errorf("not from scratch:\n%s", tx)
	}
	want := compile.Compile(c.Snapshot, "node").Table(s.generation)
	if _, ok := kernel.Table.Chains["judge"]; !ok || len(kernel.Table.Chains) != len(want.Chains) {
		t.Errorf("got:\n%s\nwant:\n%s", kernel.Dump(), want)
	}
}

func TestATableThatSomebodyRemovedIsWrittenAgain(t *testing.T) {
	kernel := newFaulty()
	s, _ := newSyncer(kernel)
	mustSync(t, s)
	if ok, err := s.Verify(t.Context()); !ok || err != nil {
		t.Fatalf("own table: %v, %v", ok, err)
	}
	if err := nft.RemoveTable(t.Context(), kernel.Fake); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Verify(t.Context()); ok || err != nil {
		t.Fatalf("missing table: %v, %v", ok, err)
	}
	mustSync(t, s)
	if ok, err := s.Verify(t.Context()); !ok || err != nil {
		t.Errorf("repaired table: %v, %v", ok, err)
	}
}

// One policy that cannot be read in part must not stop the others.
func TestAPolicyThatCannotBeReadIsCountedAndClosed(t *testing.T) {
	kernel := newFaulty()
	s, c := newSyncer(kernel)
	c.Policies[0].Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{
		From: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "nonsense"}}},
	}}
	mustSync(t, s)
	if got := metric(t, s, "policy_problems"); got != 1 {
		t.Errorf("%v problems, want 1", got)
	}
	if kernel.Table.Maps["ingress4"].FindElement("10.0.0.1") == nil {
		t.Error("the pod is not isolated")
	}
}

// It is said once, and again when the ranges are gone again.
func TestANodeWithoutRangesIsLoggedOnce(t *testing.T) {
	s, c := newSyncer(newFaulty())
	lines := 0
	s.Log = funcr.New(func(_, args string) { lines += strings.Count(args, "podCIDRs") }, funcr.Options{})
	mustSync(t, s)
	mustSync(t, s)
	if lines != 1 {
		t.Errorf("logged %d times, want once", lines)
	}
	c.Nodes = []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24"}}}}
	mustSync(t, s)
	c.Nodes = nil
	mustSync(t, s)
	if lines != 2 {
		t.Errorf("logged %d times, want twice", lines)
	}
}

func marker(t *testing.T, kernel nft.Kernel) uint16 {
	t.Helper()
	text, found, err := nft.Marker(t.Context(), kernel, compile.StampChain)
	generation, ok := compile.DefaultMark.ParseGeneration(text)
	if !found || err != nil || !ok {
		t.Fatalf("marker %q, %v, %v", text, found, err)
	}
	return generation
}

// metric reads a counter or a gauge as Prometheus would.
func metric(t *testing.T, s *Syncer, name string) float64 {
	t.Helper()
	families, err := s.Metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "apptier_enforcer_"+name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// Whoever waits for the lists hears of it once, before any rule is written.
func TestListedComesBeforeTheFirstRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := newFaulty()
		calls := 0
		a, err := New(Options{Node: "node", Client: fake.NewClientset(), Kernel: kernel, Log: logr.Discard(), Listed: func() {
			if calls++; kernel.Table != nil {
				t.Error("the rules are there already")
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { a.Run(ctx); done <- nil }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil || calls != 1 || !a.Synced() {
			t.Errorf("%v; called %d times, synced: %v", err, calls, a.Synced())
		}
	})
}
