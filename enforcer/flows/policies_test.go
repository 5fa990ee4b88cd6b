package flows_test

import (
	"fmt"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
)

// A policy is read once after it has changed, and not again when another one beside it changes.
func TestAPolicyIsReadOnce(t *testing.T) {
	w := newWorld(flows.Options{})
	set := func(name, label string) {
		p := policy(name, "", label)
		w.SetPolicy(p.Key(), p, false)
	}
	seen := func() {
		w.packet(denied("192.0.2.1", "10.0.0.1"))
		w.read()
	}
	set("shop/db", "app=db")
	set("shop/web", "app=web")
	w.announce("shop/db", "d", "10.0.0.1", "app=db")
	if w.ReadOf(named("shop/db")) != nil {
		t.Error("it was read before anybody asked")
	}
	seen()
	db, web := w.ReadOf(named("shop/db")), w.ReadOf(named("shop/web"))
	set("shop/web", "app=front")
	seen()
	if w.ReadOf(named("shop/db")) != db || db == nil {
		t.Error("it was read again after another one had changed")
	}
	if again := w.ReadOf(named("shop/web")); again == nil || again == web {
		t.Error("the one that changed was not read")
	}
}

// Whatever became of the policies of a namespace, and whenever somebody asked: what they say of a pod is what they say to
// whoever is told of them as they are now.
func TestWhatPoliciesSayIsAsTheyAre(t *testing.T) {
	labels := []string{"", "app=db", "app=web"}
	rapid.Check(t, func(t *rapid.T) {
		w, now := newWorld(flows.Options{}), map[string]*compile.Policy{}
		pods := map[string]string{"shop/db": "app=db", "shop/web": "app=web", "shop/other": "app=other"}
		tell := func(w *world) {
			for name, label := range pods {
				w.announce(name, name, "10.0.0.1", label)
			}
		}
		set := func(t *rapid.T, name string) {
			kind := rapid.SampledFrom([]string{compile.Kind, compile.StagedKind}).Draw(t, "kind")
			p := policy(name, rapid.SampledFrom([]string{"", "shop/a", "shop/b"}).Draw(t, "tier"), rapid.SampledFrom(labels).Draw(t, "pods"),
				rapid.SampledFrom([]networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}).Draw(t, "type"))
			if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
				p = nil
			}
			now[kind+" "+name] = p
			w.SetPolicy(named(name), p, kind == compile.StagedKind)
		}
		compare := func(t *rapid.T) {
			fresh := newWorld(flows.Options{})
			tell(fresh)
			for key, p := range now {
				if p != nil {
					fresh.SetPolicy(p.Key(), p, strings.HasPrefix(key, compile.StagedKind))
				}
			}
			for name := range pods {
				if got, want := w.SaidOf(named(name)), fresh.SaidOf(named(name)); got != want {
					t.Fatalf("%s: got\n%s\nwant\n%s", name, got, want)
				}
			}
		}
		tell(w)
		t.Repeat(map[string]func(*rapid.T){
			"a policy changes": func(t *rapid.T) {
				set(t, fmt.Sprintf("shop/p%d", rapid.IntRange(0, 4).Draw(t, "policy")))
			},
			"many change": func(t *rapid.T) {
				for i := range rapid.SampledFrom([]int{10, 20, 250}).Draw(t, "how many") {
					set(t, fmt.Sprintf("shop/q%d", i))
				}
			},
			"a pod has another label": func(t *rapid.T) {
				name := rapid.SampledFrom([]string{"shop/db", "shop/web"}).Draw(t, "pod")
				pods[name] = rapid.SampledFrom(labels[1:]).Draw(t, "label")
				tell(w)
			},
			"": compare,
		})
		compare(t)
	})
}
