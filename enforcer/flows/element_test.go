package flows_test

import (
	"testing"
	"time"

	"github.com/apptier/apptier/enforcer/flows"
)

// An element is counted once, although a listing may miss it, as others come and go meanwhile, and a reading may take so
// long that the element seems younger than it is.
func TestAnElementIsCountedOnce(t *testing.T) {
	w := newWorld(flows.Options{})
	w.announce("shop/web", "w", "10.0.0.1")
	w.announce("shop/db", "d", "10.0.0.2")
	begun := w.now
	read := func(after, late time.Duration, counts ...uint64) {
		w.now = begun.Add(after + late)
		var r flows.Reading
		for _, n := range counts {
			r.Seen = append(r.Seen, flows.Seen{Key: denied("10.0.0.1", "10.0.0.2"), Count: n, Age: after})
		}
		w.Read(r, w.now)
	}
	read(time.Second, 0, 5)
	read(2*time.Second, 0)
	read(3*time.Second, 0, 6)
	read(4*time.Second, 8*time.Second, 7)
	read(20*time.Second, 0, 8)
	w.expect(t, "shop", "shop/web → shop/db ×8")
	// The one that follows it begins to count anew.
	begun = begun.Add(61 * time.Second)
	read(time.Second, 0, 9)
	w.expect(t, "shop", "shop/web → shop/db ×17")
}
