package agent

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/health"
)

// Connections are the connections that the node's kernel tracks; conntrack.Table implements it.
type Connections interface {
	// Clear clears the masked bits of the marks of all connections where they are stale.
	Clear(ctx context.Context, mask uint32, stale func(masked uint32) bool) error
}

// notStamped: no generation is known to be free of connections that bear it.
const notStamped health.Reason = "NotStamped"

// stamps gives each ruleset a generation that no connection bears, although generations are limited. They are used
// in two halves. When the first of a half is in force, the stamps of the other half are cleared from connections,
// and the other half is not used again before this is done. Until then, or if it fails, rulesets have no generation:
// they stamp nothing, and judge every packet.
type stamps struct {
	mark        compile.Mark
	connections Connections // nil if there are none
	// free is called when a generation can be given again; must not block.
	free func()
	log  logr.Logger

	mu    sync.Mutex
	begun bool
	last  uint16 // that was given; 0 before the first
	// dirty says that connections may bear generations of the half that last is not in; unknown, of either.
	dirty, unknown bool
	clearing       bool
	failed         error // of the last attempt to clear
}

// begin gives the first generation, after the one of the rules that are in the kernel now: 0 if there are none,
// and then none of an older table either. What else connections bear is cleared first.
func (s *stamps) begin(ctx context.Context, left uint16) uint16 {
	err := s.clear(ctx, func(g uint16) bool { return g != 0 && g != left })
	s.mu.Lock()
	s.begun, s.last, s.dirty, s.unknown = true, left, false, err != nil
	s.mu.Unlock()
	return s.next()
}

// distrust gives no generation until all connections are cleared: nobody knows what they bear.
func (s *stamps) distrust() uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.unknown = true, true
	return 0
}

// next gives a generation, or 0 for none.
func (s *stamps) next() uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.mark.Next(s.last)
	turns := s.mark.Upper(next) != s.mark.Upper(s.last)
	if s.unknown || turns && s.dirty {
		return 0
	}
	s.last, s.dirty = next, s.dirty || turns
	return next
}

// ready says whether next would give one.
func (s *stamps) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	turns := s.mark.Upper(s.mark.Next(s.last)) != s.mark.Upper(s.last)
	return !s.unknown && (!turns || !s.dirty)
}

// committed says that the ruleset with what was given last is in force, and has what must be cleared be
// cleared, until the context ends.
func (s *stamps) committed(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clearing || !s.dirty && !s.unknown {
		return
	}
	s.clearing = true
	all, upper := s.unknown, !s.mark.Upper(s.last)
	stale := func(g uint16) bool { return g != 0 && (all || s.mark.Upper(g) == upper) }
	if s.connections == nil {
		s.cleared(all)
		return
	}
	go s.sweep(ctx, all, stale)
}

func (s *stamps) sweep(ctx context.Context, all bool, stale func(uint16) bool) {
	later := wait.Backoff{Duration: firstRetry, Factor: 2, Steps: 20, Cap: lastRetry}
	for s.clear(ctx, stale) != nil {
		select {
		case <-time.After(later.Step()):
		case <-ctx.Done():
			return
		}
	}
	s.mu.Lock()
	s.cleared(all)
	s.mu.Unlock()
	s.free()
}

// cleared notes what connections do not bear any more. The stamps are locked.
func (s *stamps) cleared(all bool) {
	s.clearing, s.dirty = false, false
	if all {
		s.unknown, s.last = false, 0
	}
}

func (s *stamps) clear(ctx context.Context, stale func(uint16) bool) error {
	if s.connections == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	err := s.connections.Clear(ctx, uint32(s.mark), func(masked uint32) bool { return stale(s.mark.Generation(masked)) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.failed == nil {
		s.log.Error(err, "Cannot take the stamps of old rules from connections; trying again")
	}
	s.failed = err
	return err
}

// problems is a health.Report's check.
func (s *stamps) problems(time.Time) []health.Problem {
	if s.ready() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		return nil // it is being done
	}
	return []health.Problem{{
		Reason: notStamped, Severity: health.Warning,
		Message: "connections may bear stamps of old rules, so that every packet is judged, which takes longer: " + s.failed.Error(),
	}}
}
