package agent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
)

// narrow holds few generations, so that they come again soon.
const narrow compile.Mark = 0xff00

// tracked is connections as the kernel and its rules treat them, and what the rules did when they stamped one.
type tracked struct {
	mu     sync.Mutex
	marks  [5]uint32
	judged [5]int // at the how manieth ruleset
	err    error  // that clearing fails with
}

// Clear is Connections'.
func (c *tracked) Clear(_ context.Context, mask uint32, stale func(uint32) bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, mark := range c.marks {
		if c.err == nil && stale(mark&mask) {
			c.marks[i] = mark &^ mask
		}
	}
	return c.err
}

// packet sends a packet of a connection through the n-th ruleset, of a generation; 0 if it stamps nothing. It
// is false if the connection is taken for judged by this ruleset, and was not.
func (c *tracked) packet(i int, generation uint16, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != 0 && narrow.Generation(c.marks[i]) == generation {
		return c.judged[i] == n
	}
	if generation != 0 {
		c.marks[i], c.judged[i] = c.marks[i]&^uint32(narrow)|uint32(generation)<<8, n
	}
	return true
}

// Whatever changes, fails and is restarted, however often generations come again, and whatever stamps there
// were: no connection is taken for judged by a ruleset that did not judge it.
func TestNoStampIsTakenForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(timeless{t}, checkStamps)
	})
}

// timeless is a test in a bubble of synctest, where there is no deadline to ask for.
type timeless struct{ *testing.T }

func (timeless) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

func checkStamps(t *rapid.T) {
	kernel, connections := newFaulty(), &tracked{}
	for i := range connections.marks { // of enforcers before
		connections.marks[i], connections.judged[i] = rapid.Uint32().Draw(t, "mark"), -1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		cancel()
		synctest.Wait()
	}()
	var s *Syncer
	var c *cluster
	rulesets, last := 0, ""
	generation := func() uint16 {
		text, _, err := nft.Marker(ctx, kernel, compile.StampChain)
		if err != nil {
			t.Fatal(err)
		}
		if text != last {
			rulesets, last = rulesets+1, text
		}
		g, _ := narrow.ParseGeneration(text)
		return g
	}
	send := func(t *rapid.T) {
		i := rapid.IntRange(0, len(connections.marks)-1).Draw(t, "connection")
		if kernel.Table == nil {
			return
		}
		if g := generation(); !connections.packet(i, g, rulesets) {
			t.Fatalf("connection %d of ruleset %d is taken for judged by ruleset %d, of the same generation %d", i, connections.judged[i], rulesets, g)
		}
	}
	change := func(n int) {
		for range n {
			c.Pods[0].Labels = map[string]string{"n": time.Now().String()}
			c.Policies[0].Name = map[bool]string{true: "deny", false: "also"}[c.Policies[0].Name == "also"]
			_ = s.Sync(ctx)
			generation()
		}
	}
	start := func(*rapid.T) {
		s, c = newSyncer(kernel)
		s.Mark, s.Connections = narrow, connections
		_ = s.Sync(ctx)
	}
	start(t)
	t.Repeat(map[string]func(*rapid.T){
		"a packet":       send,
		"another packet": send,
		"changes":        func(t *rapid.T) { change(rapid.SampledFrom([]int{1, 127}).Draw(t, "changes")) },
		"its generation comes again": func(t *rapid.T) {
			stamped := generation()
			send(t)
			for range 2 * narrow.Last() {
				if change(1); generation() == stamped {
					break
				}
			}
			send(t)
		},
		"time passes":    func(*rapid.T) { <-time.After(time.Minute); synctest.Wait() },
		"clearing fails": func(*rapid.T) { connections.fail(errors.New("told to fail")) },
		"clearing works": func(*rapid.T) { connections.fail(nil) },
		"a transaction fails": func(t *rapid.T) {
			kernel.err, kernel.commits = errors.New("told to fail"), rapid.Bool().Draw(t, "but has taken")
			change(1)
			kernel.err = nil
		},
		"the agent is restarted": start,
		"somebody removes the table": func(*rapid.T) {
			_ = nft.RemoveTable(ctx, kernel.Fake)
			_, _ = s.Verify(ctx)
		},
	})
}

func (c *tracked) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// When generations come to an end and connections cannot be cleared, rulesets stamp nothing; when they can
// be again, the next one does, without anything else that has changed.
func TestWithoutAFreeGenerationNothingIsStamped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		kernel, connections := newFaulty(), &tracked{}
		s, c := newSyncer(kernel)
		freed := 0
		s.Mark, s.Connections, s.Log = narrow, connections, logr.Discard()
		s.Feed = agenttest.Source(c.snapshot)
		s.stamping().free = func() { freed++ }
		must(t, s.Sync(ctx))
		connections.fail(errors.New("told to fail"))
		for range 256 {
			c.Policies[0].Name = map[bool]string{true: "deny", false: "also"}[c.Policies[0].Name == "also"]
			must(t, s.Sync(ctx))
			synctest.Wait()
		}
		if text, _, _ := nft.Marker(ctx, kernel, compile.StampChain); s.generation != 0 || text == "" {
			t.Fatalf("generation %d, %q", s.generation, text)
		}
		if got := s.stamps.problems(time.Now()); len(got) != 1 || got[0].Reason != notStamped {
			t.Errorf("problems: %v", got)
		}
		connections.fail(nil)
		<-time.After(2 * lastRetry)
		if synctest.Wait(); freed != 1 || len(s.stamps.problems(time.Now())) != 0 {
			t.Fatalf("told %d times; problems: %v", freed, s.stamps.problems(time.Now()))
		}
		must(t, s.Sync(ctx))
		if s.generation == 0 {
			t.Error("nothing is stamped")
		}
	})
}

// The rules of an enforcer that used other bits may have stamped these in any way, and go on as long as they
// are in force. So the first ruleset after them has no generation, and connections are cleared after it.
func TestOtherBitsAreNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		kernel, connections := newFaulty(), &tracked{marks: [5]uint32{0x100}}
		before, _ := newSyncer(kernel)
		must(t, before.Sync(ctx))
		s, _ := newSyncer(kernel)
		s.Mark, s.Connections = narrow, connections
		must(t, s.Sync(ctx))
		if s.generation != 0 {
			t.Errorf("generation %d", s.generation)
		}
		synctest.Wait()
		must(t, s.Sync(ctx))
		if connections.marks[0] != 0 || s.generation != 1 {
			t.Errorf("mark %x, generation %d", connections.marks[0], s.generation)
		}
	})
}

// Who restores a ruleset of before has connections stamped with a generation of before, until that is noticed.
func TestARestoredRulesetIsNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		kernel, connections := newFaulty(), &tracked{}
		s, c := newSyncer(kernel)
		s.Mark, s.Connections = narrow, connections
		must(t, s.Sync(ctx))
		saved := s.compiler.Tracker().Table().Clone()
		for range 200 { // into the other half
			c.Policies[0].Name = map[bool]string{true: "deny", false: "also"}[c.Policies[0].Name == "also"]
			must(t, s.Sync(ctx))
			synctest.Wait()
		}
		if ok, err := s.Verify(ctx); !ok || err != nil {
			t.Fatal(ok, err)
		}
		must(t, nft.Apply(ctx, kernel, nft.Replace(saved)))
		connections.packet(0, 1, 1)
		if ok, _ := s.Verify(ctx); ok {
			t.Fatal("not noticed")
		}
		must(t, s.Sync(ctx))
		if synctest.Wait(); s.generation != 0 || connections.marks[0] != 0 {
			t.Errorf("generation %d, mark %x", s.generation, connections.marks[0])
		}
	})
}
