package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
)

var (
	announced   = PodRef{Namespace: "shop", Name: "web", UID: "b"}
	announcedIP = netip.MustParseAddr("10.0.0.2")
)

// shown is the pod of that name as the API server shows it.
func shown(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "b", Labels: map[string]string{"of": "server"}},
		Spec:       corev1.PodSpec{NodeName: "node"},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}
	change(p)
	return p
}

func TestWhatAnAnnouncedPodCountsAs(t *testing.T) {
	as := func(uid string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.UID = "a"; p.Status.PodIP = uid } }
	with := func(ip string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.PodIP = ip } }
	const soon, late = time.Second, announcementLife
	for _, test := range []struct {
		name         string
		before, then *corev1.Pod // shown when it is announced, and later
		after        time.Duration
		ip, label    string
		kept         bool
	}{
		{"not shown", nil, nil, soon, "10.0.0.2", "plugin", true},
		{"never shown", nil, nil, late, "", "", false},
		{"shown without an address", nil, shown(func(*corev1.Pod) {}), soon, "10.0.0.2", "server", true},
		{"shown without an address for long", nil, shown(func(*corev1.Pod) {}), 9 * late, "10.0.0.2", "server", true},
		{"shown with an address", nil, shown(func(p *corev1.Pod) { p.Status.PodIP = "10.0.0.9" }), soon, "10.0.0.9", "server", false},
		{"shown with the address that it had before", shown(with("10.0.0.7")), shown(with("10.0.0.7")), soon, "10.0.0.2", "server", true},
		{"shown with it for long", shown(with("10.0.0.7")), shown(with("10.0.0.7")), 9 * late, "10.0.0.2", "server", true},
		{"shown with another than before", shown(with("10.0.0.7")), shown(with("10.0.0.9")), soon, "10.0.0.9", "server", false},
		{"shown with what was announced", shown(with("10.0.0.7")), shown(with("10.0.0.2")), soon, "10.0.0.2", "server", false},
		{"finished with the address that it had before", shown(with("10.0.0.7")), shown(func(p *corev1.Pod) { p.Status.Phase, p.Status.PodIP = corev1.PodFailed, "10.0.0.7" }), soon, "", "server", false},
		{"finished", nil, shown(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), soon, "", "server", false},
		{"replaced", nil, shown(as("10.0.0.8")), soon, "10.0.0.8", "server", false},
		{"the one before is leaving", shown(as("")), shown(as("")), soon, "10.0.0.2", "plugin", true},
		{"the one before is there", shown(as("10.0.0.8")), shown(as("10.0.0.8")), soon, "10.0.0.8", "server", true},
		{"the one before has gone", shown(as("10.0.0.8")), nil, soon, "10.0.0.2", "plugin", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			f := newStore("node", func() {}, func() time.Time { return now })
			show(f, test.before)
			f.announce(announced, map[string]string{"of": "plugin"}, []netip.Addr{announcedIP})
			show(f, test.then)
			now = now.Add(test.after)
			f.expire()
			c := compile.New("node")
			c.SetPolicy(selecting("plugin"))
			c.SetPolicy(selecting("server"))
			f.apply(c)
			var ip, label string
			for key := range c.Tracker().Table().Sets["ingress4"].Elements {
				ip = key
			}
			for _, g := range c.Ruleset().Groups {
				label = strings.TrimPrefix(g.Policies[0], "shop/")
			}
			if ip != test.ip || ip != "" && label != test.label {
				t.Errorf("address %q, labels of %q; want %q, %q", ip, label, test.ip, test.label)
			}
			if _, kept := f.announced[announced.key()]; kept != test.kept {
				t.Errorf("kept: %v, want %v", kept, test.kept)
			}
		})
	}
}

// show has a store see a pod, or none.
func show(f *store, pod *corev1.Pod) {
	var all []*corev1.Pod
	if pod != nil {
		all = append(all, pod)
	}
	_ = f.pods.Replace(objects(all), "")
}

// selecting is a policy, of this name, of the pods whose labels are somebody's.
func selecting(of string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: of},
		Spec:       networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"of": of}}},
	}
}

func TestADeletedPodIsForgotten(t *testing.T) {
	f := newStore("node", func() {}, time.Now)
	other, same := shown(func(p *corev1.Pod) { p.UID = "a" }), shown(func(*corev1.Pod) {})
	_ = f.pods.Add(other)
	f.announce(announced, nil, []netip.Addr{announcedIP})
	_ = f.pods.Delete(other)
	if len(f.announced) == 0 {
		t.Error("forgotten although another pod was deleted")
	}
	_ = f.pods.Add(same)
	_ = f.pods.Delete(same)
	if len(f.announced) != 0 {
		t.Error("not forgotten")
	}
}

// Whoever announces may let the pod start when that returns.
func TestAnAnnouncedPodIsUnderItsPoliciesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := newFaulty()
		deny := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "deny"}}
		a, err := New(Options{Node: "node", Client: fake.NewClientset(deny), Kernel: kernel, Log: logr.Discard()})
		if err != nil {
			t.Fatal(err)
		}
		isolated := func() bool { return kernel.isolates("10.0.0.2") }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { a.Run(ctx); done <- nil }()

		if err := a.Announce(t.Context(), announced, nil, []netip.Addr{announcedIP}); err != nil {
			t.Fatal(err)
		}
		if !isolated() {
			t.Error("not isolated when told so")
		}
		sleep(announcementLife / 2)
		later, laterIP := PodRef{Namespace: "shop", Name: "later", UID: "c"}, netip.MustParseAddr("10.0.0.3")
		if err := a.Announce(t.Context(), later, nil, []netip.Addr{laterIP}); err != nil {
			t.Fatal(err)
		}
		sleep(announcementLife/2 + time.Second)
		if synctest.Wait(); isolated() {
			t.Error("isolated although no such pod is ever shown")
		}
		if !kernel.isolates("10.0.0.3") {
			t.Error("the later one is forgotten too soon")
		}
		sleep(announcementLife / 2)
		if synctest.Wait(); kernel.isolates("10.0.0.3") {
			t.Error("the later one is not forgotten")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAnAnnouncementEndsWithItsContext(t *testing.T) {
	a, err := New(Options{Node: "node", Client: fake.NewClientset(), Kernel: newFaulty(), Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Announce(ctx, announced, nil, []netip.Addr{announcedIP}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// told is a store that hears of a world's changes.
type told struct {
	*store
	last map[string]*corev1.Node // of each name
}

func (f told) SetPod(o *corev1.Pod)             { _ = f.pods.Add(o) }
func (f told) SetNamespace(o *corev1.Namespace) { _ = f.namespaces.Add(o) }
func (f told) SetNode(o *corev1.Node) {
	_ = f.nodes.Add(o)
	f.last[o.Name] = o
}
func (f told) SetPolicy(o *networkingv1.NetworkPolicy) { _ = f.policies.Add(o) }
func (f told) DeletePod(namespace, name string) {
	_ = f.pods.Delete(&corev1.Pod{ObjectMeta: named(namespace, name)})
}
func (f told) DeleteNamespace(name string) {
	_ = f.namespaces.Delete(&corev1.Namespace{ObjectMeta: named("", name)})
}
func (f told) DeleteNode(name string) { _ = f.nodes.Delete(&corev1.Node{ObjectMeta: named("", name)}) }
func (f told) DeletePolicy(namespace, name string) {
	_ = f.policies.Delete(&networkingv1.NetworkPolicy{ObjectMeta: named(namespace, name)})
}
func named(namespace, name string) (m metav1.ObjectMeta) {
	m.Namespace, m.Name = namespace, name
	return m
}

// Whatever was announced, rightly or wrongly, early or late: once the API server shows the addresses that
// its pods have now, and has had time to show other pods, the rules are those of what it shows.
func TestAnnouncementsAreForgottenOnceTheAPIServerHasCaughtUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1e9, 0)
		f := newStore(agenttest.Node, func() {}, func() time.Time { return now })
		c, last := compile.New(agenttest.Node), map[string]*corev1.Node{}
		world := agenttest.NewWorld(told{f, last})
		t.Repeat(map[string]func(*rapid.T){
			"an object changes":      world.Change,
			"another object changes": world.Change,
			"a pod is announced": func(t *rapid.T) {
				f.announce(PodRef{
					Namespace: rapid.SampledFrom([]string{"blue", "green"}).Draw(t, "namespace"),
					Name:      fmt.Sprintf("pod-%d", rapid.IntRange(0, 4).Draw(t, "pod")),
					UID:       rapid.SampledFrom([]types.UID{"a", "b", "c"}).Draw(t, "uid"),
				}, map[string]string{"app": "web"}, []netip.Addr{netip.AddrFrom4([4]byte{10, 244, 0, byte(rapid.IntRange(2, 6).Draw(t, "address"))})})
			},
			"apply":       func(*rapid.T) { f.apply(c) },
			"time passes": func(*rapid.T) { now = now.Add(announcementLife / 2); f.expire() },
		})
		shown := world.Snapshot()
		if node := last[agenttest.Node]; node != nil { // it stays what it was last
			shown.Nodes = append(shown.Nodes, node)
		}
		for i, pod := range shown.Pods {
			_, waiting := f.announced[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}]
			if waiting || len(pod.Status.PodIPs) == 0 {
				caughtUp := pod.DeepCopy()
				caughtUp.Status.PodIPs = nil
				caughtUp.Status.PodIP = fmt.Sprintf("10.244.0.%d", 100+i)
				shown.Pods[i] = caughtUp
				_ = f.pods.Add(caughtUp)
			}
		}
		now = now.Add(announcementLife)
		f.expire()
		f.apply(c)
		if diff := cmp.Diff(compile.Compile(shown, agenttest.Node).Table(1), c.Ruleset().Table(1)); diff != "" {
			t.Fatalf("(-shown +after announcements):\n%s", diff)
		}
	})
}
