package kernel

import (
	"flag"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/reach/reachtest"
	"github.com/apptier/apptier/test/lab"
)

// Each check sends thousands of packets, so fewer than rapid's hundred are run unless asked for.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "50"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// Whatever the objects are, the kernel does what the reference evaluator says: also when it got
// there from any other objects, by a difference.
func TestKernelAgreesWithReachOnGeneratedSnapshots(t *testing.T) {
	ports := []uint16{80, 53, 81, 8085}
	l := newLab(t, lab.Routed)
	l.Listen(t, ports)
	generation := uint16(0)
	next := func() uint16 {
		// Connections of the check before are still there, and bear its stamp.
		generation = compile.DefaultMark.Next(generation)
		return generation
	}
	rapid.Check(t, func(t *rapid.T) {
		generated := reachtest.Snapshot(reachtest.MaxNodes(2), reachtest.MaxPods(8), reachtest.Disputed())
		// Rules of few policies are not merged by themselves.
		l.MergeAbove = rapid.SampledFrom([]int{0, 1}).Draw(t, "merge above")
		before, after := generated.Draw(t, "before"), generated.Draw(t, "after")
		l.Change(t, l.Load(t, before, next()), after, next())
		l.check(t, after, ports)
	})
}
