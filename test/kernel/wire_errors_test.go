package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/wire"
	"github.com/apptier/apptier/policy/reach/reachtest"
	"github.com/apptier/apptier/test/lab"
)

// A transaction that fails has done nothing, and its error names the step.
func TestTheStepThatTheKernelRefusesIsNamed(t *testing.T) {
	w := newTwins(t)
	v4, text := func(i int) string { return netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String() }, knftables.PtrTo[string]
	table := compile.Compile(reachtest.Snapshot().Example(1), lab.NodeName).Table(1)
	table.Sets["some"] = nft.Set{Key: "ipv4_addr", Elements: map[string]nft.Element{v4(0): {}}}
	table.Sets["ranges"] = nft.Set{Key: "ipv4_addr", Interval: true, Elements: map[string]nft.Element{"10.0.0.0-10.0.0.9": {}}}
	lab.Must(t, w.conn.Run(nft.Replace(table)))
	before := dump(t, w.direct)
	element := func(set, key string) *knftables.Element { return &knftables.Element{Set: set, Key: []string{key}} }
	many := []nft.Op{{Verb: nft.Add, Object: &knftables.Chain{Name: "new", Comment: text("x")}}}
	for i := range 5000 {
		many = append(many, nft.Op{Verb: nft.Add, Object: element("some", v4(i+1))})
	}
	for _, test := range []struct {
		name string
		bad  nft.Op
		err  error
	}{
		{"a chain that is not there", nft.Op{Verb: nft.Delete, Object: &knftables.Chain{Name: "nowhere"}}, unix.ENOENT},
		{"a chain in use", nft.Op{Verb: nft.Delete, Object: &knftables.Chain{Name: "judge"}}, unix.EBUSY},
		{"a rule to nowhere", nft.Op{Verb: nft.Add, Object: jump("judge", "nowhere")}, unix.ENOENT},
		{"a rule with a set that is not there", nft.Op{Verb: nft.Add, Object: ruleIn("judge", expr.In("nothing", expr.Source4), expr.Drop)}, unix.ENOENT},
		{"an element that is not there", nft.Op{Verb: nft.Delete, Object: element("some", "10.9.9.9")}, unix.ENOENT},
		{"an element that overlaps", nft.Op{Verb: nft.Add, Object: element("ranges", "10.0.0.5-10.0.0.12")}, unix.EEXIST},
		{"a set of another type", nft.Op{Verb: nft.Add, Object: &knftables.Set{Name: "ranges", Type: "ipv6_addr"}}, unix.EEXIST},
		{"a counter in use", nft.Op{Verb: nft.Delete, Object: &knftables.Counter{Name: "denied-egress"}}, unix.EBUSY},
	} {
		t.Run(test.name, func(t *testing.T) {
			ops := append(append(append([]nft.Op{}, many[:2500]...), test.bad), many[2500:]...)
			err := w.conn.Run(ops)
			var refused *wire.StepError
			if !errors.As(err, &refused) || !errors.Is(err, test.err) || refused.Step.Object != test.bad.Object {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(dump(t, w.direct), "\n")); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
			lab.Must(t, w.conn.Run(nft.Replace(table))) // the connection is as good as new
		})
	}
	t.Run("one element of many", func(t *testing.T) {
		bad := element("some", "10.9.9.9")
		ops := []nft.Op{}
		for i := range 3000 {
			ops = append(ops, nft.Op{Verb: nft.Add, Object: element("some", v4(i+1))})
		}
		for i := range 3000 {
			if i == 2000 {
				ops = append(ops, nft.Op{Verb: nft.Delete, Object: bad})
			}
			ops = append(ops, nft.Op{Verb: nft.Delete, Object: element("some", v4(i+1))})
		}
		var refused *wire.StepError
		if err := w.conn.Run(ops); !errors.As(err, &refused) || refused.Step.Object != bad {
			t.Errorf("got %v", err)
		}
	})
}

// The socket holds some hundred errors only; the first one counts.
func TestMoreErrorsThanASocketHolds(t *testing.T) {
	w := newTwins(t)
	table := compile.Compile(reachtest.Snapshot().Example(1), lab.NodeName).Table(1)
	lab.Must(t, w.conn.Run(nft.Replace(table)))
	before := dump(t, w.direct)
	var ops []nft.Op
	for i := range 20_000 {
		ops = append(ops, nft.Op{Verb: nft.Add, Object: jump("judge", fmt.Sprintf("nowhere-%d", i))})
	}
	var refused *wire.StepError
	if err := w.conn.Run(ops); !errors.As(err, &refused) || refused.Step.Object != ops[0].Object {
		t.Errorf("got %v", err)
	}
	if after := dump(t, w.direct); after != before {
		t.Errorf("changed (-before +after):\n%s", cmp.Diff(before, after))
	}
	lab.Must(t, w.conn.Run(nft.Replace(table)))
}
