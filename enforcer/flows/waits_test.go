package flows_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/apptier/apptier/enforcer/flows"
)

// Whoever sees a change holds a lock that rules wait for. So telling of it does not wait for the naming of connections,
// however long that takes.
func TestNobodyWaitsForTheNaming(t *testing.T) {
	w := newWorld(flows.Options{})
	p := policy("shop/db", "shop/database", "app=db")
	told := make(chan struct{})
	done := w.Naming()
	go func() {
		defer close(told)
		w.SetPolicy(p.Key(), p, false)
		w.announce("shop/web", "w", "10.0.0.1")
		w.announce("shop/db", "d", "10.0.0.2", "app=db")
		w.Past(pod("shop/job", "j", "10.0.0.3"), []netip.Addr{netip.MustParseAddr("10.0.0.3")}, w.now, w.now, w.now)
	}()
	select {
	case <-told:
	case <-time.After(5 * time.Second):
		t.Error("who tells of a change waits for the naming")
	}
	done()
	<-told
	w.packet(denied("10.0.0.1", "10.0.0.2"))
	w.packet(denied("10.0.0.3", "10.0.0.2"))
	w.read()
	w.expect(t, "shop", "shop/job → shop/db ×1", "shop/web → shop/db ×1")
	if tier := w.list("shop")[0].Destination.Tier; tier != "database" {
		t.Errorf("tier %q", tier)
	}
}
