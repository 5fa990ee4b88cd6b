package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	apptierv1alpha1 "github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
)

// records is a kernel that has recorded connections, each of which began when the test did.
type records struct {
	mu    sync.Mutex
	seen  []flows.Seen
	begun time.Time
	err   error
	took  time.Duration
	times []time.Time
}

func (r *records) Read(ctx context.Context) (flows.Reading, error) {
	r.mu.Lock()
	took := r.took
	r.times = append(r.times, time.Now())
	r.mu.Unlock()
	if took > 0 {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			return flows.Reading{}, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := slices.Clone(r.seen)
	for i := range seen {
		seen[i].Age = time.Since(r.begun)
	}
	return flows.Reading{Seen: seen}, r.err
}

func (r *records) set(err error, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.took = err, took
}

// readings is how often it was read since a time.
func (r *records) readings(since time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(r.times), func(t time.Time) bool { return t.Before(since) }))
}

func pass(d time.Duration) time.Time {
	began := time.Now()
	time.Sleep(d) //nolint:forbidigo // of the bubble
	synctest.Wait()
	return began
}

// recording is an agent whose kernel records, on a node with two pods of the namespace shop.
func recording(t *testing.T, from *records, log *strings.Builder) *Agent {
	t.Helper()
	pod := func(name, address string) *corev1.Pod {
		yes := true
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: name, UID: "u", Labels: map[string]string{"pod-template-hash": "7f"}, CreationTimestamp: metav1.NewTime(time.Now().Add(-time.Hour)),
				OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: name + "-7f", Controller: &yes}},
			},
			Spec:   corev1.PodSpec{NodeName: "node"},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address},
		}
	}
	policy := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "db", Labels: map[string]string{apptierv1alpha1.LabelAppTier: "shop", apptierv1alpha1.LabelTier: "database"},
	}}
	staged := apptierv1alpha1.StagedNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "trial"}}
	var mu sync.Mutex
	a, err := New(Options{
		Node: "node", Kernel: newFaulty(), Reader: from, LogDenied: true,
		Client: fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}, pod("web", "10.0.0.1"), pod("db", "10.0.0.2"), &policy),
		Staged: &stage{items: []apptierv1alpha1.StagedNetworkPolicy{staged}},
		Log:    funcr.New(func(_, args string) { mu.Lock(); defer mu.Unlock(); log.WriteString(args + "\n") }, funcr.Options{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func seen(verdict connections.Verdict, reason string) flows.Seen {
	return flows.Seen{Key: flows.Key{
		Verdict: verdict, Direction: connections.Ingress, Reason: reason,
		Initiator: netip.MustParseAddr("10.0.0.1"), Server: netip.MustParseAddr("10.0.0.2"), Protocol: 6, Port: 5432,
	}, Count: 3}
}

// What the kernel recorded is known by name: in the list, in the log and, without names of pods, in the metrics.
func TestConnectionsAreKnownByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var log strings.Builder
		from := &records{begun: time.Now(), seen: []flows.Seen{seen(connections.Denied, "ingress"), seen(connections.WouldDeny, "")}}
		a := recording(t, from, &log)
		go a.Run(ctx)
		pass(3 * time.Second)
		list := a.Connections(ctx, "shop", time.Time{})
		if len(list.Items) != 2 || len(list.Missing) != 0 {
			t.Fatalf("got %+v", list)
		}
		for _, c := range list.Items {
			if c.Source.Pod != "web" || c.Destination.Workload != "Deployment/db" || c.Destination.Tier != "database" || c.Node != "node" || c.Count != 3 {
				t.Errorf("got %+v", c)
			}
			if staged := len(c.Because) == 2 && c.Because[1].Kind == "StagedNetworkPolicy"; staged != (c.Verdict == connections.WouldDeny) {
				t.Errorf("%s because %v", c.Verdict, c.Because)
			}
		}
		for _, verdict := range []string{"denied", "would_deny"} {
			want := map[string]string{"namespace": "shop", "apptier": "shop", "tier": "database", "direction": "ingress", "verdict": verdict}
			if got := sample(t, a, "apptier_enforcer_connections_total", want); got != 3 {
				t.Errorf("%s: metric %v", verdict, got)
			}
		}
		pass(30 * time.Second)
		if n := strings.Count(log.String(), `"destination"="shop/db"`); n != 2 || !strings.Contains(log.String(), `"sourceWorkload"="Deployment/web"`) {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
	})
}

// sample is a metric's value with these labels.
func sample(t *testing.T, a *Agent, name string, labels map[string]string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(a.recorder)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			same := len(m.GetLabel()) == len(labels)
			for _, l := range m.GetLabel() {
				same = same && labels[l.GetName()] == l.GetValue()
			}
			if same {
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

// The kernel is read every second while somebody asks, and seldom else, but before it forgets an element.
func TestHowOftenTheKernelIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var log strings.Builder
		from := &records{begun: time.Now()}
		a := recording(t, from, &log)
		a.recorder.logDenied = false
		go a.Run(ctx)
		pass(10 * time.Second)
		if n := from.readings(pass(time.Minute)); n < 11 || n > 13 {
			t.Errorf("read %d times a minute while nobody asks", n)
		}
		pass(2 * time.Second)
		asked := time.Now()
		a.Connections(ctx, "shop", time.Time{})
		if n := from.readings(asked); n != 1 {
			t.Errorf("read %d times to answer", n)
		}
		if n := from.readings(pass(30 * time.Second)); n < 29 || n > 31 {
			t.Errorf("read %d times in half a minute while somebody asks", n)
		}
		pass(time.Minute)
		from.mu.Lock()
		from.begun, from.seen = time.Now(), []flows.Seen{seen(connections.Denied, "ingress")}
		from.mu.Unlock()
		end := from.begun.Add(compile.RecordTimeout)
		pass(compile.RecordTimeout)
		from.mu.Lock()
		defer from.mu.Unlock()
		if !slices.ContainsFunc(from.times, func(at time.Time) bool { return at.Before(end) && end.Sub(at) <= readOften+readEarly }) {
			t.Errorf("not read before the end of an element at %v: %v", end, from.times)
		}
	})
}

// A reader that fails, hangs or is slow is no reason for anything else to be otherwise: it is said, and the kernel is read
// again.
func TestAReaderThatFailsIsTold(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		took time.Duration
	}{{"fails", errors.New("no memory"), 0}, {"hangs", nil, time.Hour}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var log strings.Builder
				from := &records{begun: time.Now(), seen: []flows.Seen{seen(connections.Denied, "ingress")}}
				a := recording(t, from, &log)
				go a.Run(ctx)
				pass(10 * time.Second)
				from.set(test.err, test.took)
				pass(time.Minute)
				if problems := fmt.Sprint(a.options.Health.Problems(time.Now())); !strings.Contains(problems, string(notRead)) || !strings.Contains(problems, "warning") {
					t.Errorf("health: %s", problems)
				}
				list := a.Connections(ctx, "shop", time.Time{})
				if len(list.Items) != 1 || len(list.Missing) != 1 || !strings.Contains(list.Missing[0].Reason, "could not be read since") {
					t.Errorf("got %+v", list)
				}
				if !a.Synced() || sample(t, a, "apptier_enforcer_connection_read_failures_total", nil) < 1 {
					t.Error("not synced, or not counted")
				}
				from.set(nil, 0)
				pass(time.Minute)
				if problems := a.options.Health.Problems(time.Now()); len(problems) > 0 {
					t.Errorf("health: %v", problems)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var log strings.Builder
		from := &records{begun: time.Now(), took: 500 * time.Millisecond}
		a := recording(t, from, &log)
		go a.Run(ctx)
		pass(10 * time.Second)
		began := time.Now()
		for range 60 {
			a.Connections(ctx, "shop", time.Time{})
			pass(time.Second)
		}
		if n := from.readings(began); n > 10 {
			t.Errorf("read %d times a minute, each for half a second", n)
		}
	})
}

// A pod that was gone before the API server showed its address is known by what it shows then.
func TestWhoHadAnAddressThatTheServerShowsLate(t *testing.T) {
	now := time.Now()
	s := newStore("node", func() {}, func() time.Time { return now })
	f := flows.New(flows.Options{Node: "node"}, now)
	s.observe(f)
	_ = s.pods.Replace(nil, "")
	now = now.Add(time.Minute)
	job := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "job", UID: "j", CreationTimestamp: metav1.NewTime(now.Add(-3 * time.Second))},
		Spec:       corev1.PodSpec{NodeName: "node"}, Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	_ = s.pods.Add(job)
	job = job.DeepCopy()
	job.Status.Phase, job.Status.PodIP = corev1.PodSucceeded, "10.0.0.1"
	job.Status.StartTime = &metav1.Time{Time: now.Add(-3 * time.Second)}
	job.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(now)},
	}}}
	_ = s.pods.Update(job)
	now = now.Add(time.Second)
	one := seen(connections.Denied, "ingress")
	one.Age = 3 * time.Second
	f.Read(flows.Reading{Seen: []flows.Seen{one}}, now)
	if list := f.List("shop", time.Time{}, now); len(list.Items) != 1 || list.Items[0].Source.Pod != "job" {
		t.Errorf("got %+v", list.Items)
	}

	// A pod whose address the runtime announces, and that ends before the API server shows any.
	_ = s.pods.Delete(job)
	quick := job.DeepCopy()
	quick.Name, quick.UID, quick.Status = "quick", "q", corev1.PodStatus{Phase: corev1.PodPending}
	_ = s.pods.Add(quick)
	s.announce(PodRef{"shop", "quick", "q"}, nil, []netip.Addr{netip.MustParseAddr("10.0.0.2")})
	now = now.Add(200 * time.Millisecond)
	_ = s.pods.Delete(quick)
	now = now.Add(500 * time.Millisecond)
	one.Initiator, one.Server, one.Age = one.Server, netip.MustParseAddr("192.0.2.1"), 600*time.Millisecond
	f.Read(flows.Reading{Seen: []flows.Seen{one}}, now)
	list := f.List("shop", time.Time{}, now)
	if last := list.Items[len(list.Items)-1]; last.Source.Pod != "quick" || last.Count != 3 {
		t.Errorf("got %+v", list.Items)
	}
}
