package widening

import (
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world/worldtest"
)

// What is looked up, or decided once for many, is what going through everything finds. These tests go
// through everything.

// What is left in one namespace is taken to be left in others of its kind, and what is opened at one
// pod, at others like it.
func TestWhatIsAlikeIsJudgedAlike(t *testing.T) {
	alike, scopes := map[string]int{}, map[networkingv1.PolicyType]connset.Scope{ingress: connset.Subject, egress: connset.Peer}
	worldtest.Often(t, func(t *rapid.T) {
		v, _ := worldtest.Draw(t)
		worldtest.EachClause(v, func(direction networkingv1.PolicyType, clause connset.Clause) {
			d := declaredIn(v, direction)
			boxes := onPorts(onlyOf(clause.Box, d.certain), clause.Box.Ports)
			if direction == egress { // only pods know names
				for i := range boxes {
					boxes[i].Kinds &= connset.Pods
				}
			}
			shared := remainders{}
			for _, at := range d.places(clause.Box) {
				known := len(shared)
				left, unknown := d.undeclared(at, boxes, shared)
				alone, aloneUnknown := d.undeclared(at, boxes, remainders{})
				if len(left) != len(alone) || unknown != aloneUnknown {
					t.Fatalf("%d boxes are left, and %d by themselves; %q, %q", len(left), len(alone), unknown, aloneUnknown)
				}
				if len(shared) == known {
					alike["namespaces"]++
				}
			}
			opened := map[string]bool{}
			for _, pod := range d.knowing(clause) {
				like, is := d.likeness(connset.Unlike(slices.Concat(boxes, d.every), scopes[direction]), scopes[direction], d.ranges(boxes), pod), d.openedAt(clause, boxes, pod) != nil
				if was, found := opened[like]; found {
					alike["pods"]++
					if was != is {
						t.Fatalf("%s is like another pod, and judged otherwise", words.Pod(pod))
					}
				}
				opened[like] = is
			}
		})
	})
	if alike["namespaces"] == 0 || alike["pods"] == 0 {
		t.Errorf("nothing was ever alike: %v", alike)
	}
}
