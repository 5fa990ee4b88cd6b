package compile_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/budget"
)

// Whatever came, changed and went, in whatever order: the table, and what is told about it, are
// those of the objects that are there now. And what the tracker says has changed is all that has.
func TestAHistoryIsForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := compile.New(agenttest.Node)
		above := rapid.SampledFrom([]int{0, 1, 8}).Draw(t, "merge above")
		c.MergeAbove(above)
		limits := rapid.SampledFrom([]budget.Limits{budget.Defaults(), little}).Draw(t, "limits")
		c.Limit(limits)
		world := agenttest.NewStagedWorld(c)
		before := c.Tracker().Table().Clone()
		commit := func(*rapid.T) {
			d := c.Tracker()
			if diff := cmp.Diff(nft.Diff(before, d.Table()), d.Steps()); diff != "" {
				t.Fatalf("steps (-difference +tracker):\n%s", diff)
			}
			d.Commit()
			before = d.Table().Clone()
		}
		var attached []netip.Addr
		look := func(t *rapid.T) { compare(t, fresh(world, above, limits, attached), c.Ruleset()) }
		t.Repeat(map[string]func(*rapid.T){
			"an object changes":      world.Change,
			"another object changes": world.Change,
			"a third object changes": world.Change,
			"commit":                 commit,
			"addresses come or go in the kernel": func(t *rapid.T) {
				attached = nil
				for _, i := range rapid.SliceOfNDistinct(rapid.ByteRange(0, 11), 0, 4, rapid.ID).Draw(t, "attached") {
					attached = append(attached, netip.AddrFrom4([4]byte{10, 244, i % 3, 2 + i/3}))
				}
				c.SetAttached(attached)
			},
			"a policy is refused for a while": func(t *rapid.T) {
				for _, p := range world.Snapshot().Policies {
					c.Refuse(p.Namespace, p.Name, errors.New("refused"))
				}
				for _, p := range world.Snapshot().Staged {
					c.RefuseStaged(p.Namespace, p.Name, errors.New("refused"))
				}
				commit(t)
				for _, p := range world.Snapshot().Policies {
					c.Refuse(p.Namespace, p.Name, nil)
				}
				for _, p := range world.Snapshot().Staged {
					c.RefuseStaged(p.Namespace, p.Name, nil)
				}
			},
			"look": look,
		})
		look(t)
		commit(t)
	})
}

// However much staged policies ask for, what is enforced is what it would be without them.
func TestStagedPoliciesCostNoEnforcedOneItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := compile.New(agenttest.Node)
		c.Limit(little)
		world := agenttest.NewStagedWorld(c)
		t.Repeat(map[string]func(*rapid.T){"an object changes": world.Change, "another object changes": world.Change, "": func(*rapid.T) {}})
		snapshot := world.Snapshot()
		snapshot.Staged = nil
		without := compile.New(agenttest.Node)
		without.Limit(little)
		without.Tell(snapshot)
		enforced := func(r compile.Ruleset) (problems []string) {
			for _, p := range r.Problems {
				if !strings.HasSuffix(p.Policy, " (staged)") {
					problems = append(problems, p.Error())
				}
			}
			return problems
		}
		if diff := cmp.Diff(enforced(without.Ruleset()), enforced(c.Ruleset())); diff != "" {
			t.Fatalf("problems (-without staged policies +with them):\n%s", diff)
		}
	})
}

// little is so little that some policies of nearly every world ask for too much, and that many copy too much.
var little = budget.Limits{
	Policy:    budget.Cost{Rules: 3, Peers: 3, Blocks: 4, Ports: 4, Requirements: 6, Copies: 8, Addresses: 8, Depth: 1},
	Namespace: budget.Cost{Rules: 5, Peers: 5, Blocks: 8, Ports: 8, Requirements: 10, Copies: 12, Addresses: 12, Depth: 1},
}

// fresh is what a compiler makes of the objects that knows nothing else.
func fresh(world *agenttest.World, mergeAbove int, limits budget.Limits, attached []netip.Addr) compile.Ruleset {
	c := compile.New(agenttest.Node)
	c.MergeAbove(mergeAbove)
	c.Limit(limits)
	c.SetAttached(attached)
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
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(compile.Ruleset{}), cmp.Comparer(sameProblem)); diff != "" {
		t.Fatalf("ruleset (-fresh +compiler):\n%s", diff)
	}
}

func sameProblem(a, b compile.Problem) bool {
	return a.Error() == b.Error() && a.Object.UID == b.Object.UID
}
