package flows_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
)

// A connection is named by who had its addresses when it was seen.
func TestWhoHadTheAddressThen(t *testing.T) {
	const client, server = "10.0.0.1", "10.0.0.2"
	for _, test := range []struct {
		name string
		do   func(*world)
		want []string
	}{
		{"pods that are there", func(w *world) {
			w.packet(denied(client, server))
			w.after(time.Second)
			w.read()
			w.packet(denied(client, server))
			w.read()
		}, []string{"shop/web → shop/db ×2"}},
		{"a pod that lived for 200 ms", func(w *world) {
			w.announce("shop/job", "j", "10.0.0.3")
			w.after(100 * time.Millisecond)
			w.packet(denied("10.0.0.3", server))
			w.after(100 * time.Millisecond)
			w.end("shop/job")
			w.after(700 * time.Millisecond)
			w.read()
		}, []string{"shop/job → shop/db ×1"}},
		{"an address that another pod has a second later", func(w *world) {
			w.packet(denied(client, server))
			w.end("shop/web")
			w.after(time.Second)
			w.announce("other/api", "o", client)
			w.after(time.Second)
			w.read()
		}, []string{"shop/web → shop/db ×1"}},
		{"what the next pod does is another connection", func(w *world) {
			w.packet(denied(client, server))
			w.after(time.Second)
			w.read()
			w.end("shop/web")
			w.announce("other/api", "o", client)
			w.packet(denied(client, server))
			w.packet(denied(client, server))
			w.after(time.Second)
			w.read()
		}, []string{"shop/web → shop/db ×1", "other/api → shop/db ×2"}},
		{"a pod of the same name is another", func(w *world) {
			w.packet(denied(client, server))
			w.read()
			w.end("shop/web")
			w.announce("shop/web", "new", client)
			w.after(time.Second)
			w.packet(denied(client, server))
			w.read()
		}, []string{"shop/web → shop/db ×1", "shop/web → shop/db ×1"}},
		{"a pod that ends after it was counted, and before that was read", func(w *world) {
			w.packet(denied(client, server))
			w.read()
			w.after(500 * time.Millisecond)
			w.packet(denied(client, server))
			w.end("shop/web")
			w.after(500 * time.Millisecond)
			w.read()
		}, []string{"shop/web → shop/db ×2"}},
		{"an address that was given again before the end of the pod is known", func(w *world) {
			w.after(time.Second)
			w.announce("other/api", "o", client)
			w.packet(denied(client, server))
			w.after(time.Second)
			w.end("shop/web")
			w.read()
		}, []string{"other/api → shop/db ×1"}},
		{"a pod whose address the API server shows later", func(w *world) {
			w.packet(denied("10.0.0.3", server))
			w.after(500 * time.Millisecond)
			w.read()
			w.after(time.Second)
			w.SetPod(named("far/away"), pod("far/away", "f", "10.0.0.3"), flows.Since{Created: w.now.Add(-3 * time.Second)}, w.now)
			w.read()
		}, []string{"far/away → shop/db ×1"}},
		{"a pod that was made after it was seen", func(w *world) {
			w.packet(denied("10.0.0.3", server))
			w.after(5 * time.Second)
			w.SetPod(named("far/away"), pod("far/away", "f", "10.0.0.3"), flows.Since{Created: w.now.Add(-time.Second)}, w.now)
			w.read()
		}, []string{"10.0.0.3 → shop/db ×1"}},
		{"a pod that was over when it became known", func(w *world) {
			w.packet(denied("10.0.0.3", server))
			w.after(2 * time.Second)
			w.Past(pod("shop/done", "d", "10.0.0.3"), []netip.Addr{netip.MustParseAddr("10.0.0.3")}, w.now.Add(-3*time.Second), w.now.Add(-time.Second), w.now)
			w.read()
		}, []string{"shop/done → shop/db ×1"}},
		{"no pod", func(w *world) {
			w.packet(denied("192.0.2.1", server))
			w.read()
			w.after(time.Minute)
			w.read()
		}, []string{"192.0.2.1 → shop/db ×1"}},
		{"an element that expired and came again", func(w *world) {
			for range 5 {
				w.packet(denied(client, server))
				w.packet(denied(client, server))
				w.after(time.Second)
				w.read()
				w.after(life)
				w.packet(denied(client, server))
				w.after(time.Second)
				w.read()
				w.after(2 * life)
				w.read()
			}
		}, []string{"shop/web → shop/db ×15"}},
		{"what sends from another's address is nobody", func(w *world) {
			k := denied(client, server)
			k.Direction, k.Reason = "", "spoofed"
			w.packet(k)
			w.read()
		}, []string{"10.0.0.1 → shop/db ×1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(flows.Options{})
			w.announce("shop/web", "w", client)
			w.announce("shop/db", "d", server)
			w.after(10 * time.Second)
			test.do(w)
			w.expect(t, "shop", test.want...)
		})
	}
	if compile.Denials()["spoofed"] == "" {
		t.Error("the reason is another one now")
	}
}

// A restart begins from what the kernel holds, by the pods that are there; what is known of them since when tells them
// from those before.
func TestARestartNamesWhatTheKernelHolds(t *testing.T) {
	w := newWorld(flows.Options{})
	old := func(name, uid, address string, ago time.Duration) {
		at := w.now.Add(-ago)
		w.SetPod(named(name), pod(name, uid, address), flows.Since{Old: true, Created: at, Started: at}, w.now)
	}
	old("shop/web", "w", "10.0.0.1", 20*time.Second)
	old("shop/db", "d", "10.0.0.2", time.Hour)
	w.Read(flows.Reading{Seen: []flows.Seen{
		{Key: denied("10.0.0.1", "10.0.0.2"), Count: 7, Age: 10 * time.Second},
		{Key: denied("10.0.0.2", "10.0.0.1"), Count: 3, Age: 40 * time.Second},
	}, Missed: map[string]uint64{"ingress": 9}}, w.now)
	w.expect(t, "shop", "shop/db → 10.0.0.1 ×3", "shop/web → shop/db ×7")
	if missing := w.List("shop", time.Time{}, w.now).Missing; len(missing) > 0 {
		t.Errorf("missing %v, which may be of long ago", missing)
	}
}

// A change of the wall clock, here by an hour, changes no name, no order and no age: it shows in what is displayed.
func TestAChangeOfTheClockNamesNobodyElse(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		w := newWorld(flows.Options{})
		w.announce("shop/web", "w", "10.0.0.1")
		w.announce("shop/db", "d", "10.0.0.2")
		w.after(time.Minute)
		w.packet(denied("10.0.0.1", "10.0.0.2"))
		w.after(time.Second)
		w.read()
		w.now = stepped(w.now, by)
		w.end("shop/web")
		w.announce("other/api", "o", "10.0.0.1")
		w.after(time.Second)
		w.packet(denied("10.0.0.1", "10.0.0.2"))
		w.after(time.Second)
		w.read()
		w.expect(t, "shop", "shop/web → shop/db ×1", "other/api → shop/db ×1")
		if late := w.List("shop", w.now.Round(0).Add(-time.Second), w.now).Items; len(late) != 1 {
			t.Errorf("%v were seen in the last second, want 1", late)
		}
		want := w.now.Round(0).Add(-3 * time.Second).Truncate(time.Microsecond)
		if first := w.list("shop")[0].First; !first.Time.Equal(want) {
			t.Errorf("first %v, want %v", first, want)
		}
	}
}

// stepped is a time by a wall clock that was set meanwhile. The monotonic clock goes on.
func stepped(t time.Time, by time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&t)) // time.Time's first field: from its bit 30 on, seconds
	*wall += uint64(by/time.Second) << 30
	return t
}

// What is said of a connection: the ends, the policies, the tiers; of an end in another namespace its name alone.
func TestWhatIsSaid(t *testing.T) {
	w := newWorld(flows.Options{})
	const in = networkingv1.PolicyTypeIngress
	for _, p := range []*compile.Policy{
		policy("shop/db", "shop/database", "app=db", in), policy("shop/web", "shop/frontend", "app=web", in),
		policy("shop/hand", "", "", in), policy("shop/out", "", "", networkingv1.PolicyTypeEgress),
	} {
		w.SetPolicy(p.Key(), p, false)
	}
	trial, replacement := policy("shop/trial", "shop/database", "app=db", in), policy("shop/hand", "", "", in)
	w.SetPolicy(trial.Key(), trial, true)
	w.SetPolicy(replacement.Key(), replacement, true)
	w.announce("shop/db", "d", "10.0.0.2", "app=db")
	w.announce("team/api", "a", "10.0.0.1", "app=web")
	w.packet(denied("10.0.0.1", "10.0.0.2"))
	would := denied("10.0.0.1", "10.0.0.2")
	would.Verdict, would.Reason, would.Port = connections.WouldDeny, "", 80
	w.packet(would)
	w.read()

	database := connections.PolicyReference{Kind: "NetworkPolicy", Name: "db", AppTier: "shop", Tier: "database"}
	items := w.list("shop")
	slices.SortFunc(items, func(a, b connections.Connection) int { return int(b.Port - a.Port) })
	if diff := cmp.Diff([]connections.PolicyReference{database, {Kind: "NetworkPolicy", Name: "hand"}}, items[0].Because); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]connections.PolicyReference{
		database, {Kind: "StagedNetworkPolicy", Name: "hand"}, {Kind: "StagedNetworkPolicy", Name: "trial", AppTier: "shop", Tier: "database"},
	}, items[1].Because); diff != "" {
		t.Error(diff)
	}
	ends := []connections.End{items[0].Source, items[0].Destination}
	if diff := cmp.Diff([]connections.End{
		{Address: "10.0.0.1", Namespace: "team", Pod: "api"},
		{Address: "10.0.0.2", Namespace: "shop", Pod: "db", Workload: "Deployment/db", AppTier: "shop", Tier: "database"},
	}, ends); diff != "" {
		t.Error(diff)
	}
	other := w.list("team")[0]
	if other.Because != nil || other.Destination != (connections.End{Address: "10.0.0.2", Namespace: "shop", Pod: "db"}) {
		t.Errorf("another namespace sees %+v", other)
	}
	if names := w.list(""); names[0].Name != w.list("shop")[0].Name || names[0].Namespace != "shop" {
		t.Errorf("names %v", names)
	}
	// Another policy isolates from now on.
	more := policy("shop/more", "", "", in)
	w.SetPolicy(more.Key(), more, false)
	w.SetPolicy(named("shop/hand"), nil, false)
	w.packet(denied("10.0.0.1", "10.0.0.2"))
	w.after(time.Second)
	w.read()
	items = w.list("shop")
	if got := items[len(items)-1].Because; len(got) != 2 || got[1].Name != "more" {
		t.Errorf("because %v", got)
	}
}

func TestWorkloads(t *testing.T) {
	yes := true
	for _, test := range []struct{ kind, name, hash, want string }{
		{"ReplicaSet", "web-7f9c", "7f9c", "Deployment/web"},
		{"ReplicaSet", "web", "7f9c", "ReplicaSet/web"},
		{"ReplicaSet", "-7f9c", "7f9c", ""},
		{"ReplicaSet", "web-7f9c", "", "ReplicaSet/web-7f9c"},
		{"StatefulSet", "pg", "", "StatefulSet/pg"},
		{"Job", "report-29933400", "", "CronJob/report"},
		{"Job", "migrate-20261130", "", "Job/migrate-20261130"},
		{"RedisCluster", "cache.blue", "", "RedisCluster/cache.blue"},
		// The API server takes any name, of any kind.
		{"X", "\x1b[2J", "", ""},
		{"X", "two words", "", ""},
		{"X", strings.Repeat("a", 254), "", ""},
		{"\n", "a", "", ""},
		{"ReplicaSet", "two words-5d4f", "5d4f", ""},
		{"", "", "", ""},
	} {
		object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"pod-template-hash": test.hash}}}
		object.CreationTimestamp = metav1.Unix(60*29933400+7, 0)
		if test.kind != "" {
			object.OwnerReferences = []metav1.OwnerReference{{Kind: "Node", Name: "n"}, {Kind: test.kind, Name: test.name, Controller: &yes}}
		}
		if got := flows.WorkloadOf(object).Value(); got != test.want {
			t.Errorf("%s %s: got %s, want %s", test.kind, test.name, got, test.want)
		}
	}
}
