package space_test

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/space"
)

// connection is a point: what a box is a set of.
type connection struct {
	subject, peer, namespace map[string]string
	isPod                    bool
	address                  netip.Addr
	port                     space.Port
}

func (c connection) isIn(b space.Box) bool {
	kind := space.Others
	if c.isPod {
		kind = space.Pods
		if !b.Match(space.Peer, c.peer) || !b.Match(space.Namespace, c.namespace) {
			return false
		}
	}
	return b.Kinds&kind != 0 && b.Match(space.Subject, c.subject) && b.Addresses.Contains(c.address) && b.Ports.Contains(c.port)
}

func drawLabels(t *rapid.T) map[string]string {
	set := map[string]string{}
	for _, key := range []string{"app", "tier"} {
		if value := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, key); value != "" {
			set[key] = value
		}
	}
	return set
}

func drawConnection(t *rapid.T) connection {
	addresses := []string{"10.0.0.0", "10.0.0.255", "10.0.1.0", "9.255.255.255", "0.0.0.0", "255.255.255.255", "::", "fd00::1", "fe00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
	c := connection{
		subject: drawLabels(t), peer: drawLabels(t), namespace: drawLabels(t), isPod: rapid.Bool().Draw(t, "is pod"),
		address: netip.MustParseAddr(rapid.SampledFrom(addresses).Draw(t, "address")),
	}
	if protocol := rapid.SampledFrom([]corev1.Protocol{"", "TCP", "UDP", "SCTP"}).Draw(t, "protocol"); protocol != "" {
		c.port = space.PortOf(protocol, rapid.SampledFrom([]int32{1, 79, 80, 81, 65535}).Draw(t, "port"))
	}
	return c
}

func drawBox(t *rapid.T) space.Box {
	b := space.Everything()
	for _, scope := range []space.Scope{space.Subject, space.Peer, space.Namespace} {
		for _, key := range []string{"app", "tier"} {
			operator := rapid.SampledFrom([]metav1.LabelSelectorOperator{"", "", "", "In", "NotIn", "Exists", "DoesNotExist"}).Draw(t, "operator")
			if operator == "" {
				continue
			}
			requirement := metav1.LabelSelectorRequirement{Key: key, Operator: operator}
			if operator == "In" || operator == "NotIn" {
				requirement.Values = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 1, 2).Draw(t, "values")
			}
			var err error
			if b, err = b.WhereSelected(scope, &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if rapid.Bool().Draw(t, "has addresses") {
		prefix := rapid.SampledFrom([]string{"10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8", "255.255.255.255/32"})
		b.Addresses = space.PrefixAddresses(netip.MustParsePrefix(prefix.Draw(t, "prefix")), netip.MustParsePrefix(prefix.Draw(t, "prefix")))
		b.Addresses = b.Addresses.Minus(space.PrefixAddresses(netip.MustParsePrefix(prefix.Draw(t, "except"))))
	}
	if rapid.Bool().Draw(t, "has ports") {
		b.Ports = space.PortRange(corev1.ProtocolTCP, rapid.SampledFrom([]int32{1, 80}).Draw(t, "first"), rapid.SampledFrom([]int32{80, 65535}).Draw(t, "last"))
		if rapid.Bool().Draw(t, "has more") {
			b.Ports = b.Ports.Union(space.PortRange(corev1.ProtocolUDP, 1, 65535))
		}
	}
	return b
}

func drawBoxes(t *rapid.T) []space.Box {
	return rapid.SliceOfN(rapid.Custom(drawBox), 0, 4).Draw(t, "boxes")
}

func isInAny(c connection, boxes []space.Box) bool {
	for _, b := range boxes {
		if c.isIn(b) {
			return true
		}
	}
	return false
}

func TestSubtractLeavesExactlyWhatTheOthersDoNotHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		boxes, others := drawBoxes(t), drawBoxes(t)
		left, ok := space.Subtract(boxes, others, 100_000)
		if !ok {
			t.Fatal("gave up")
		}
		for range 20 {
			c := drawConnection(t)
			if want := isInAny(c, boxes) && !isInAny(c, others); isInAny(c, left) != want {
				t.Fatalf("%+v: left is %v, want %v", c, !want, want)
			}
		}
	})
}

func TestIntersectIsInBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawBox(t), drawBox(t), drawConnection(t)
		if got, want := c.isIn(a.Intersect(b)), c.isIn(a) && c.isIn(b); got != want {
			t.Fatalf("%+v: %v, want %v", c, got, want)
		}
	})
}

// Whether boxes have anything in common is decided without making what they have.
func TestOverlapsSaysWhetherTheIntersectionIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawBox(t), drawBox(t)
		if got, want := a.Overlaps(b), !a.Intersect(b).IsEmpty(); got != want {
			t.Fatalf("%+v and %+v: %v, want %v", a, b, got, want)
		}
	})
}

// What is left is not empty, so there is an example, and the example is in it.
func TestEveryBoxThatIsLeftHasAnExample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		boxes, others := drawBoxes(t), drawBoxes(t)
		left, _ := space.Subtract(boxes, others, 100_000)
		for _, b := range left {
			if c := exampleOf(b); !c.isIn(b) || !isInAny(c, boxes) || isInAny(c, others) {
				t.Fatalf("%+v is not in %+v", c, b)
			}
		}
	})
}

func TestSubtractGivesUp(t *testing.T) {
	b := space.Everything()
	other := b.Where(space.Label{Scope: space.Peer, Key: "app"}, space.OneOf("a")).Where(space.Label{Scope: space.Subject, Key: "app"}, space.OneOf("a"))
	if _, ok := space.Subtract([]space.Box{b}, []space.Box{other}, 1); ok {
		t.Error("described more boxes than it may")
	}
}

// exampleOf returns a connection of a box that is not empty.
func exampleOf(b space.Box) connection {
	c := connection{
		subject: b.Example(space.Subject), peer: b.Example(space.Peer), namespace: b.Example(space.Namespace),
		isPod: b.Kinds&space.Pods != 0, address: b.Addresses.Example(),
	}
	b.Ports.Spans(func(first, _ space.Port) bool { c.port = first; return false })
	return c
}
