package compile_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
)

// Whatever came, changed and went, in whatever order: the table, and what is told about it, are
// those of the objects that are there now. And what the journal says has changed is all that has.
func TestAHistoryIsForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := compile.New(agenttest.Node)
		above := rapid.SampledFrom([]int{0, 1, 8}).Draw(t, "merge above")
		c.MergeAbove(above)
		world := agenttest.NewWorld(c)
		before := c.Journal().Table().Clone()
		commit := func(*rapid.T) {
			j := c.Journal()
			if diff := cmp.Diff(nft.Diff(before, j.Table()), j.Steps()); diff != "" {
				t.Fatalf("steps (-difference +journal):\n%s", diff)
			}
			j.Commit()
			before = j.Table().Clone()
		}
		look := func(t *rapid.T) { compare(t, fresh(world, above), c.Ruleset()) }
		t.Repeat(map[string]func(*rapid.T){
			"an object changes":      world.Change,
			"another object changes": world.Change,
			"a third object changes": world.Change,
			"commit":                 commit,
			"a policy is refused for a while": func(t *rapid.T) {
				for _, p := range world.Snapshot().Policies {
					c.Refuse(p.Namespace, p.Name, errors.New("refused"))
				}
				commit(t)
				for _, p := range world.Snapshot().Policies {
					c.Refuse(p.Namespace, p.Name, nil)
				}
			},
			"look": look,
		})
		look(t)
		commit(t)
	})
}

// fresh is what a compiler makes of the objects that knows nothing else.
func fresh(world *agenttest.World, mergeAbove int) compile.Ruleset {
	c := compile.New(agenttest.Node)
	c.MergeAbove(mergeAbove)
	c.Tell(world.Snapshot())
	return c.Ruleset()
}

func compare(t rapid.TB, want, got compile.Ruleset) {
	if diff := cmp.Diff(want.Table(1), got.Table(1)); diff != "" {
		t.Fatalf("table (-fresh +compiler):\n%s", diff)
	}
	if diff := cmp.Diff(want.Dump(), got.Dump()); diff != "" {
		t.Fatalf("dump (-fresh +compiler):\n%s", diff)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(compile.Ruleset{}), cmpopts.EquateErrors()); diff != "" {
		t.Fatalf("ruleset (-fresh +compiler):\n%s", diff)
	}
}
