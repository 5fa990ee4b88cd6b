package kernel

import (
	"flag"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// Each check sends thousands of packets, so fewer than rapid's hundred are run unless asked for.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// Whatever the objects are, the kernel does what the reference evaluator says: also when it got
// there from any other objects, by a difference.
func TestKernelAgreesWithReachOnGeneratedSnapshots(t *testing.T) {
	ports := []uint16{80, 53, 81, 8085}
	l := newLab(t)
	l.listen(t, ports)
	var inKernel nft.Table
	generation := uint16(0)
	rapid.Check(t, func(t *rapid.T) {
		snapshot := reachtest.Snapshot(reachtest.MaxNodes(2), reachtest.MaxPods(8)).Draw(t, "snapshot")
		generation = compile.NextGeneration(generation)
		table := compile.Compile(snapshot, nodeName).Table(generation)
		if len(inKernel.Chains) == 0 {
			l.apply(t, nft.Replace(table))
		} else {
			l.apply(t, nft.Diff(inKernel, table))
		}
		inKernel = table
		l.check(t, snapshot, ports)
	})
}
