package connset_test

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/connset"
)

// connection is a point: what a box is a set of.
type connection struct {
	subject, peer, namespace map[string]string
	isPod                    bool
	address                  netip.Addr
	port                     connset.Port
}

func (c connection) isIn(b connset.Box) bool {
	kind := connset.Others
	if c.isPod {
		kind = connset.Pods
		if !b.Match(connset.Peer, c.peer) || !b.Match(connset.Namespace, c.namespace) {
			return false
		}
	}
	return b.Kinds&kind != 0 && b.Match(connset.Subject, c.subject) && b.Addresses.Contains(c.address) && b.Ports.Contains(c.port)
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
		c.port = connset.PortOf(protocol, rapid.SampledFrom([]int32{1, 79, 80, 81, 65535}).Draw(t, "port"))
	}
	return c
}

func drawBox(t *rapid.T) connset.Box {
	b := connset.Everything()
	for _, scope := range []connset.Scope{connset.Subject, connset.Peer, connset.Namespace} {
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
		b.Addresses = connset.PrefixAddresses(netip.MustParsePrefix(prefix.Draw(t, "prefix")), netip.MustParsePrefix(prefix.Draw(t, "prefix")))
		b.Addresses = b.Addresses.Minus(connset.PrefixAddresses(netip.MustParsePrefix(prefix.Draw(t, "except"))))
	}
	if rapid.Bool().Draw(t, "has ports") {
		b.Ports = connset.PortRange(corev1.ProtocolTCP, rapid.SampledFrom([]int32{1, 80}).Draw(t, "first"), rapid.SampledFrom([]int32{80, 65535}).Draw(t, "last"))
		if rapid.Bool().Draw(t, "has more") {
			b.Ports = b.Ports.Union(connset.PortRange(corev1.ProtocolUDP, 1, 65535))
		}
	}
	return b
}

func drawBoxes(t *rapid.T) []connset.Box {
	return rapid.SliceOfN(rapid.Custom(drawBox), 0, 4).Draw(t, "boxes")
}

func isInAny(c connection, boxes []connset.Box) bool {
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
		left, ok := connset.Subtract(boxes, others, 100_000)
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
		left, _ := connset.Subtract(boxes, others, 100_000)
		for _, b := range left {
			if c := exampleOf(b); !c.isIn(b) || !isInAny(c, boxes) || isInAny(c, others) {
				t.Fatalf("%+v is not in %+v", c, b)
			}
		}
	})
}

func TestSubtractGivesUp(t *testing.T) {
	b := connset.Everything()
	other := b.Where(connset.Label{Scope: connset.Peer, Key: "app"}, connset.OneOf("a")).Where(connset.Label{Scope: connset.Subject, Key: "app"}, connset.OneOf("a"))
	if _, ok := connset.Subtract([]connset.Box{b}, []connset.Box{other}, 1); ok {
		t.Error("described more boxes than it may")
	}
}

// exampleOf returns a connection of a box that is not empty.
func exampleOf(b connset.Box) connection {
	c := connection{
		subject: b.Example(connset.Subject), peer: b.Example(connset.Peer), namespace: b.Example(connset.Namespace),
		isPod: b.Kinds&connset.Pods != 0, address: b.Addresses.Example(),
	}
	b.Ports.Spans(func(first, _ connset.Port) bool { c.port = first; return false })
	return c
}
