package agent

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

var (
	announced   = PodRef{Namespace: "shop", Name: "web", UID: "b"}
	announcedIP = netip.MustParseAddr("10.0.0.2")
)

// shown is the pod of that name as the API server shows it.
func shown(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "b", Labels: map[string]string{"of": "the API server"}},
		Spec:       corev1.PodSpec{NodeName: "node"},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}
	change(p)
	return p
}

func TestWhatAnAnnouncedPodCountsAs(t *testing.T) {
	as := func(uid string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.UID = "a"; p.Status.PodIP = uid } }
	const soon, late = time.Second, announcementLife
	for _, test := range []struct {
		name         string
		before, then *corev1.Pod // shown when it is announced, and later
		after        time.Duration
		ip, label    string
		kept         bool
	}{
		{"not shown", nil, nil, soon, "10.0.0.2", "the plugin", true},
		{"never shown", nil, nil, late, "", "", false},
		{"shown without an address", nil, shown(func(*corev1.Pod) {}), soon, "10.0.0.2", "the API server", true},
		{"shown without an address for long", nil, shown(func(*corev1.Pod) {}), 9 * late, "10.0.0.2", "the API server", true},
		{"shown with an address", nil, shown(func(p *corev1.Pod) { p.Status.PodIP = "10.0.0.9" }), soon, "10.0.0.9", "the API server", false},
		{"finished", nil, shown(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), soon, "", "the API server", false},
		{"replaced", nil, shown(as("10.0.0.8")), soon, "10.0.0.8", "the API server", false},
		{"the one before is leaving", shown(as("")), shown(as("")), soon, "10.0.0.2", "the plugin", true},
		{"the one before is there", shown(as("10.0.0.8")), shown(as("10.0.0.8")), soon, "10.0.0.8", "the API server", true},
		{"the one before has gone", shown(as("10.0.0.8")), nil, soon, "10.0.0.2", "the plugin", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			s := newAnnouncements("node", func() time.Time { return now })
			s.add(announced, map[string]string{"of": "the plugin"}, []netip.Addr{announcedIP}, test.before)
			now = now.Add(test.after)
			got := s.merge(announced.key(), test.then)
			var ip, label string
			if got != nil {
				ip, label = got.Status.PodIP, got.Labels["of"]
				if len(got.Status.PodIPs) > 0 {
					ip = got.Status.PodIPs[0].IP
				}
			}
			if ip != test.ip || label != test.label {
				t.Errorf("address %q, labels of %q; want %q, %q", ip, label, test.ip, test.label)
			}
			if _, kept := s.pods[announced.key()]; kept != test.kept {
				t.Errorf("kept: %v, want %v", kept, test.kept)
			}
		})
	}
}

func TestADeletedPodIsForgotten(t *testing.T) {
	s := newAnnouncements("node", time.Now)
	s.add(announced, nil, []netip.Addr{announcedIP}, nil)
	s.forget(shown(func(p *corev1.Pod) { p.UID = "a" }))
	if s.merge(announced.key(), nil) == nil {
		t.Error("forgotten although another pod was deleted")
	}
	s.forget(shown(func(*corev1.Pod) {}))
	if s.merge(announced.key(), nil) != nil {
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
		isolated := func() bool { return kernel.Table.Maps["ingress4"].FindElement("10.0.0.2") != nil }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()

		if err := a.Announce(t.Context(), announced, nil, []netip.Addr{announcedIP}); err != nil {
			t.Fatal(err)
		}
		if !isolated() {
			t.Error("not isolated when told so")
		}
		sleep(announcementLife + time.Second)
		if synctest.Wait(); isolated() {
			t.Error("isolated although no such pod is ever shown")
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
