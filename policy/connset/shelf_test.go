package connset_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/connset"
)

func TestMergedBoxesHoldTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		boxes := rapid.SliceOfN(rapid.Custom(drawBox), 0, 8).Draw(t, "boxes")
		merged := connset.Merged(boxes)
		if len(merged) > len(boxes) {
			t.Fatalf("%d boxes became %d", len(boxes), len(merged))
		}
		for range 20 {
			if c := drawConnection(t); isInAny(c, merged) != isInAny(c, boxes) {
				t.Fatalf("%+v: merged is %v", c, isInAny(c, merged))
			}
		}
	})
}

func TestMergedJoinsAddresses(t *testing.T) {
	var boxes []connset.Box
	for i := range 100 {
		box := connset.Everything().Where(connset.Label{Scope: connset.Subject, Key: "tier"}, connset.OneOf(fmt.Sprint(i%2)))
		box.Addresses = connset.SingleAddresses(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
		boxes = append(boxes, box)
	}
	if merged := connset.Merged(boxes); len(merged) != 2 {
		t.Errorf("two tiers are %d boxes", len(merged))
	}
}

// Whatever overlaps a box is near it, in the order of the shelf.
func TestShelfHasWhatOverlapsNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		boxes := rapid.SliceOfN(rapid.Custom(drawBox), 0, 12).Draw(t, "boxes")
		box := drawBox(t)
		var near, all []string
		for _, b := range connset.NewShelf(boxes).Near(box) {
			if b.Overlaps(box) {
				near = append(near, b.Key())
			}
		}
		for _, b := range boxes {
			if b.Overlaps(box) {
				all = append(all, b.Key())
			}
		}
		if !slices.Equal(near, all) {
			t.Fatalf("%d boxes overlap, %d are near", len(all), len(near))
		}
	})
}

func TestShelfLeavesTheRestAlone(t *testing.T) {
	tier := func(name string) connset.Box {
		return connset.Everything().Where(connset.Label{Scope: connset.Subject, Key: "tier"}, connset.OneOf(name))
	}
	var boxes []connset.Box
	for i := range 100 {
		boxes = append(boxes, tier(fmt.Sprint(i)))
	}
	shelf := connset.NewShelf(boxes)
	if near := shelf.Near(tier("7")); len(near) != 1 {
		t.Errorf("%d boxes are near one tier", len(near))
	}
	if near := shelf.Near(connset.Everything()); len(near) != 100 {
		t.Errorf("%d boxes are near everything", len(near))
	}
}

// Boxes with one key hold the same, and those that are made alike have one key.
func TestKeyTellsBoxesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawBox(t), drawBox(t), drawConnection(t)
		if a.Key() == b.Key() && c.isIn(a) != c.isIn(b) {
			t.Fatalf("%+v is in one of two boxes with one key", c)
		}
		if again := a.Intersect(connset.Everything()); again.Key() != a.Key() {
			t.Fatal("the same box has two keys")
		}
	})
}

func TestSubtractSpends(t *testing.T) {
	boxes := []connset.Box{connset.Everything()}
	var others []connset.Box
	for port := range int32(10) {
		other := connset.Everything()
		other.Ports = connset.PortRange(corev1.ProtocolTCP, port+1, port+1)
		others = append(others, other)
	}
	left := 9
	if _, ok := connset.SubtractWithin(boxes, others, 100, func(pairs int) bool { left -= pairs; return left >= 0 }); ok {
		t.Error("spent more than there was")
	}
	left = 10
	if _, ok := connset.SubtractWithin(boxes, others, 100, func(pairs int) bool { left -= pairs; return left >= 0 }); !ok {
		t.Error("did not spend all that there was")
	}
}
