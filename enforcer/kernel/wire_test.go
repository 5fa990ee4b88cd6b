package kernel

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// What is written over netlink cannot be told from what the nft program writes.
func TestTransactionsOverNetlinkAreThoseOfTheProgram(t *testing.T) {
	w := newTwins(t)
	rapid.Check(t, func(t *rapid.T) {
		generated := reachtest.Snapshot(reachtest.MaxNodes(2), reachtest.MaxPods(8))
		table := compile.Compile(generated.Draw(t, "first"), nodeName).Table(1)
		w.apply(t, nft.Replace(table))
		w.compare(t)
		for i := range rapid.IntRange(1, 3).Draw(t, "changes") {
			next := compile.Compile(generated.Draw(t, "next"), nodeName).Table(uint16(i + 2))
			w.apply(t, nft.Diff(table, next))
			w.compare(t)
			table = next
		}
	})
}
