package flows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/apptier/apptier/enforcer/flows"
)

// However many pods have had an address, or claim it, few of them are looked at: the last, and one of this node before
// others.
func TestManyClaimsOfOneAddressCostLittle(t *testing.T) {
	w := newWorld(flows.Options{})
	const claims = 5000
	w.announce("shop/db", "d", "10.0.0.2")
	w.SetPod(named("shop/web"), local(pod("shop/web", "w", "10.0.0.1")), flows.Since{Announced: true}, w.now)
	for i := range claims {
		w.after(time.Millisecond)
		name := fmt.Sprintf("other/job-%d", i)
		w.SetPod(named(name), pod(name, name, "10.0.0.1"), flows.Since{Created: w.now}, w.now)
		if i%2 == 0 {
			w.end(name)
		}
	}
	w.packet(denied("10.0.0.1", "10.0.0.2"))
	w.after(time.Millisecond)
	w.read()
	w.expect(t, "shop", "shop/web → shop/db ×1")
	if n := w.Claims("10.0.0.1"); n > 100 {
		t.Errorf("%d that had the address are looked at", n)
	}
	w.end("shop/web")
	w.after(time.Millisecond)
	w.packet(denied("10.0.0.1", "10.0.0.2"))
	w.read()
	w.after(10 * time.Second)
	w.read()
	w.expect(t, "other", fmt.Sprintf("other/job-%d → shop/db ×1", claims-1))
}

// local is a pod of this node.
func local(p *flows.Pod) *flows.Pod {
	own := *p.Pod
	own.Local = true
	return &flows.Pod{Pod: &own, UID: p.UID, Workload: p.Workload}
}
