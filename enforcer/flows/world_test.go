package flows_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	apptierv1alpha1 "github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
	"github.com/apptier/apptier/enforcer/ipset"
)

// world is a cluster and a kernel, and what is known of them, at a time.
type world struct {
	*flows.Flows
	now    time.Time
	last   time.Time // when the kernel was read
	seen   map[flows.Key]*element
	missed map[string]uint64
	// lossless says that an element is read just before the kernel forgets it.
	lossless bool
}

type element struct {
	count uint64
	made  time.Time
}

// life is how long the kernel keeps an element.
const life = time.Minute

func newWorld(o flows.Options) *world {
	now := time.Now()
	o.Node = "node"
	return &world{Flows: flows.New(o, now), now: now, seen: map[flows.Key]*element{}, missed: map[string]uint64{}}
}

// after lets time pass. If it is to lose nothing, the kernel is read just before it forgets an element.
func (w *world) after(d time.Duration) {
	then := w.now.Add(d)
	for _, e := range w.seen {
		if last := e.made.Add(life - time.Nanosecond); w.lossless && last.After(w.now) && last.Before(then) {
			w.after(last.Sub(w.now))
			w.read()
			w.after(then.Sub(w.now))
			return
		}
	}
	w.now = then
}

// announce has the runtime announce a pod, whose name is "namespace/name".
func (w *world) announce(name, uid, address string, labels ...string) {
	w.SetPod(named(name), pod(name, uid, address, labels...), flows.Since{Announced: true}, w.now)
}

func (w *world) end(name string) { w.SetPod(named(name), nil, flows.Since{}, w.now) }

func named(name string) types.NamespacedName {
	namespace, name, _ := strings.Cut(name, "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}

func pod(name, uid, address string, labels ...string) *flows.Pod {
	object := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: named(name).Namespace, Name: named(name).Name, Labels: map[string]string{}},
		Status:     corev1.PodStatus{PodIP: address},
	}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		object.Labels[key] = value
	}
	return &flows.Pod{Pod: ipset.NewPod(object, ""), UID: types.UID(uid), Workload: unique.Make("Deployment/" + named(name).Name)}
}

// packet has the kernel judge one.
func (w *world) packet(k flows.Key) {
	e := w.seen[k]
	if e == nil || w.now.Sub(e.made) >= life {
		e = &element{made: w.now}
		w.seen[k] = e
	}
	e.count++
}

// read has the kernel read.
func (w *world) read() {
	r := flows.Reading{Missed: w.missed}
	for k, e := range w.seen {
		if w.now.Sub(e.made) < life {
			r.Seen = append(r.Seen, flows.Seen{Key: k, Count: e.count, Age: w.now.Sub(e.made)})
		} else {
			delete(w.seen, k)
		}
	}
	w.Read(r, w.now)
	w.last = w.now
}

func (w *world) list(namespace string) []connections.Connection {
	return w.List(namespace, time.Time{}, w.now).Items
}

// denied is a packet that the server's policies deny.
func denied(initiator, server string) flows.Key {
	return flows.Key{
		Verdict: connections.Denied, Direction: connections.Ingress, Reason: "ingress",
		Initiator: netip.MustParseAddr(initiator), Server: netip.MustParseAddr(server), Protocol: 6, Port: 5432,
	}
}

// short is a connection as "source → destination ×count".
func short(c connections.Connection) string {
	return fmt.Sprintf("%s → %s ×%d", name(c.Source), name(c.Destination), c.Count)
}

func name(e connections.End) string {
	if e.Pod == "" {
		return e.Address
	}
	return e.Namespace + "/" + e.Pod
}

func (w *world) expect(t *testing.T, namespace string, want ...string) {
	t.Helper()
	var got []string
	for _, c := range w.list(namespace) {
		got = append(got, short(c))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// policy isolates pods with a label of a namespace; tier is "apptier/tier", or empty.
func policy(name, tier, label string, in ...networkingv1.PolicyType) *compile.Policy {
	object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: named(name).Namespace, Name: named(name).Name}}
	if appTier, tier, ok := strings.Cut(tier, "/"); ok {
		object.Labels = map[string]string{apptierv1alpha1.LabelAppTier: appTier, apptierv1alpha1.LabelTier: tier}
	}
	if key, value, ok := strings.Cut(label, "="); ok {
		object.Spec.PodSelector.MatchLabels = map[string]string{key: value}
	}
	object.Spec.PolicyTypes = in
	return compile.NewPolicy(object)
}
