package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
)

// However objects came, changed and went, whatever failed and whoever was restarted: the rules are
// those that a fresh start would write.
func TestAHistoryEndsWhereAFreshStartDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kernel, world := newFaulty(), agenttest.NewStagedWorld()
		start := func() *Syncer {
			return &Syncer{Node: agenttest.Node, Kernel: kernel, Feed: agenttest.Source(world.Snapshot), Metrics: NewMetrics(), Log: logr.Discard()}
		}
		s := start()
		sync := func() {
			if err := s.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
			compareWithFreshStart(t, kernel, world)
		}
		fail := func(committed bool) {
			kernel.err, kernel.commits = errors.New("told to fail"), committed
			before := contents(kernel.Fake)
			err := s.Sync(context.Background())
			kernel.err = nil
			if after := contents(kernel.Fake); err != nil && !committed && after != before {
				t.Fatalf("a failed transaction changed the rules:\n%s", cmp.Diff(before, after))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"an object changes":                  world.Change,
			"another object changes":             world.Change,
			"sync":                               func(*rapid.T) { sync() },
			"a transaction fails":                func(*rapid.T) { fail(false) },
			"a transaction fails, but has taken": func(*rapid.T) { fail(true) },
			"the agent is restarted":             func(*rapid.T) { s = start() },
		})
		sync()
	})
}

func compareWithFreshStart(t *rapid.T, kernel *faulty, world *agenttest.World) {
	text, found, err := nft.Marker(context.Background(), kernel, compile.StampChain)
	generation, ok := compile.DefaultMark.ParseGeneration(text)
	if !found || err != nil || !ok {
		t.Fatalf("marker %q, %v, %v", text, found, err)
	}
	fresh := knftables.NewFake(compile.TableFamily, compile.TableName)
	table := compile.Compile(world.Snapshot(), agenttest.Node).Table(generation)
	if err := nft.Apply(context.Background(), fresh, nft.Replace(table)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(fresh), contents(kernel.Fake)); diff != "" {
		t.Fatalf("not what a fresh start writes (-want +got):\n%s", diff)
	}
}

// contents is what a kernel holds; the order of elements has no meaning.
func contents(kernel *knftables.Fake) string {
	var elements, rest []string
	for _, line := range strings.SplitAfter(kernel.Dump(), "\n") {
		if strings.HasPrefix(line, "add element") {
			elements = append(elements, line)
		} else {
			rest = append(rest, line)
		}
	}
	slices.Sort(elements)
	return strings.Join(append(rest, elements...), "")
}
