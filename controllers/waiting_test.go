package controllers

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/programmed"
)

func TestWhoWaitsForANode(t *testing.T) {
	var w perNode
	shop, bank := types.NamespacedName{Name: "shop"}, types.NamespacedName{Name: "bank"}
	w.set(shop, []string{"n1", "n2"})
	w.set(bank, []string{"n2"})
	w.set(shop, []string{"n3"})
	for node, want := range map[string][]types.NamespacedName{"n1": nil, "n2": {bank}, "n3": {shop}} {
		if diff := cmp.Diff(want, w.of(node)); diff != "" {
			t.Errorf("%s: %s", node, diff)
		}
	}
	w.set(shop, nil)
	w.set(bank, nil)
	if len(w.on)+len(w.nodes) > 0 {
		t.Errorf("it remembers %v, %v", w.on, w.nodes)
	}
}

func TestWhenDeletionsAreKnown(t *testing.T) {
	var r removals
	app, now := types.NamespacedName{Name: "shop"}, time.Now()
	expect := func(at time.Time, version programmed.Version, settled bool) {
		t.Helper()
		if got, is := r.last(app, at); got.NetworkPolicies != version || is != settled {
			t.Errorf("got %v, %v; want %v, %v", got.NetworkPolicies, is, version, settled)
		}
	}
	expect(now, 0, true)
	r.await(app, "a", now)
	r.await(app, "b", now)
	expect(now, 0, false)
	r.saw(app, "b", programmed.Versions{NetworkPolicies: 7})
	expect(now, 7, false)
	r.saw(app, "a", programmed.Versions{NetworkPolicies: 6})
	expect(now, 7, true)
	r.await(app, "never seen", now)
	expect(now, 7, false)
	expect(now.Add(awaitAtMost), 7, true)
	r.forget(app)
	expect(now, 0, true)
}
