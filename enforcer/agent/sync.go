package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/events"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/budget"
)

// transactionTimeout bounds one run of nft. A transaction of 10,000 elements takes well below a
// second.
const transactionTimeout = time.Minute

// Syncer makes the kernel match the cluster's objects. It is not safe for concurrent use: the loop calls
// it.
type Syncer struct {
	Node   string
	Kernel nft.Kernel
	// Feed tells what has changed since it was called last; at first, everything that there is.
	Feed    func(*compile.Compiler)
	Metrics *Metrics
	Log     logr.Logger
	// Limits are the most that policies may ask for; budget.Defaults if none is set.
	Limits budget.Limits
	// Events tells the authors of policies what is wrong with them; may be nil.
	Events events.EventRecorder
	// Mark is the bits of connections' ct marks that hold the stamp; compile.DefaultMark if it is 0.
	Mark compile.Mark
	// Observe and RecordAllowed are the compiler's.
	Observe, RecordAllowed bool
	// Connections may bear stamps; nil if there are none, as with a fake kernel.
	Connections Connections
	// Wiring binds the addresses of pods to the links that they send by; may be nil.
	Wiring Wiring
	// Committed is called when all that Feed told is in the kernel, with what of it is not enforced; may be nil.
	Committed func(*compile.Compiler, []compile.Problem)

	compiler *compile.Compiler
	stamps   *stamps
	// inStep says that the kernel holds what the compiler's tracker was committed with. When that is
	// not known, the next sync replaces the whole table.
	inStep bool
	// generation is the generation of the last attempted ruleset; tried are the generations that may be in
	// force: of the last committed ruleset, and of those that failed since.
	generation uint16
	tried      []uint16
	// verified is the kernel's revision at which it was seen to hold that. It is at expected now if
	// nobody else has changed anything since; 0 if that is not known.
	verified, expected uint32
	// glanced is the revision at which its rules were last seen to be those.
	glanced  uint32
	auditor  nft.Auditor
	problems map[string]bool // the reported ones
	ungated  bool            // the lack of ranges was logged
	outside  atomic.Bool     // pods have addresses outside of the ranges
	begun    bool            // the rules were written once
}

// Sync brings the kernel up to date. After an error the kernel still holds the last good rules,
// and the next Sync starts from scratch.
func (s *Syncer) Sync(ctx context.Context) error {
	started := time.Now()
	err := s.sync(ctx)
	s.Metrics.synced(time.Since(started), err)
	return err
}

func (s *Syncer) sync(ctx context.Context) error {
	if s.compiler == nil {
		s.compiler = compile.New(s.Node)
		s.compiler.UseMark(s.stamping().mark)
		if s.Limits != (budget.Limits{}) {
			s.compiler.Limit(s.Limits)
		}
		if s.RecordAllowed {
			s.compiler.RecordAllowed()
		}
		if s.Observe {
			s.compiler.Observe()
		}
	}
	s.Feed(s.compiler)
	// What is not bound must not keep what is judged from being judged.
	unbound := s.bind(ctx)
	return errors.Join(s.enforce(ctx), unbound)
}

func (s *Syncer) enforce(ctx context.Context) error {
	fromScratch := !s.inStep
	err := s.program(ctx)
	if err == nil || !fromScratch {
		return err
	}
	// It also failed from scratch, so it will keep failing if one of the policies is the cause.
	closed, searched := s.closeRefused(ctx)
	if searched != nil || closed == 0 {
		return errors.Join(err, searched)
	}
	return s.program(ctx)
}

// program makes the kernel hold what the compiler says.
func (s *Syncer) program(ctx context.Context) error {
	problems := s.compiler.Problems()
	s.reportProblems(problems)
	s.logRanges()
	s.outside.Store(s.compiler.OutsideRanges())
	ops, err := s.plan(ctx)
	if err != nil {
		return err
	}
	if len(ops) > 0 {
		s.tried = append(s.tried, s.generation)
	}
	if err := s.apply(ctx, ops); err != nil {
		s.inStep = false
		return fmt.Errorf("nftables transaction of %d steps: %w", len(ops), err)
	}
	s.inStep = true
	if len(ops) > 0 {
		s.tried = []uint16{s.generation}
		s.stamps.committed(ctx)
	}
	tracker, counts := s.compiler.Tracker(), s.compiler.Counts()
	tracker.Commit()
	table := tracker.Table()
	s.Metrics.describe(counts, table, problems)
	if !s.begun {
		s.begun = true
		s.Log.Info("The rules are in the kernel", "pods", counts.Pods, "groups", counts.Groups, "sets", len(table.Sets), "elements", table.Elements())
	}
	if len(ops) > 0 {
		s.Log.V(1).Info("Rules updated", "steps", len(ops), "generation", s.generation)
	}
	if s.Committed != nil {
		s.Committed(s.compiler, problems)
	}
	return nil
}

// plan returns the steps to the wanted table, which are none if it is there already. Any change
// at all gets a new generation, so that live connections are judged again.
func (s *Syncer) plan(ctx context.Context) ([]nft.Op, error) {
	tracker := s.compiler.Tracker()
	if s.Observe {
		return s.planToObserve(ctx), nil
	}
	if !s.inStep {
		if err := s.adopt(ctx); err != nil {
			return nil, err
		}
		s.compiler.Stamp(s.generation)
		return s.scratch(ctx), nil
	}
	if len(tracker.Steps()) == 0 && (s.generation != 0 || !s.stamps.ready()) {
		return nil, nil
	}
	s.generation = s.stamps.next()
	s.compiler.Stamp(s.generation)
	return tracker.Steps(), nil
}

// planToObserve is plan where no connection is stamped. Stamps of before are left alone, as their bits may be another's
// now; an enforcer that comes later finds rules without a generation, and clears them.
func (s *Syncer) planToObserve(ctx context.Context) []nft.Op {
	tracker := s.compiler.Tracker()
	s.generation = 0
	s.compiler.Stamp(0)
	if !s.inStep {
		return s.scratch(ctx)
	}
	return tracker.Steps()
}

// scratch returns the steps to the wanted table from whatever is in the kernel. What rules have recorded is kept if the
// kernel takes steps that do so.
func (s *Syncer) scratch(ctx context.Context) []nft.Op {
	wanted := s.compiler.Tracker().Table()
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	if contents, err := s.Kernel.Contents(ctx, false); err == nil {
		ops := nft.Renew(wanted, contents)
		if len(ops) > 0 && nft.Check(ctx, s.Kernel, ops) == nil {
			return ops
		}
	}
	return nft.Replace(wanted)
}

// adopt chooses the generation of a table that is written from scratch: one that no live connection
// bears, from any present or earlier table. It is the one after the generation of the table in the kernel,
// once all others are cleared from connections.
func (s *Syncer) adopt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	marker, found, err := nft.Marker(ctx, s.Kernel, compile.StampChain)
	if err != nil {
		return err
	}
	left, ok := s.stamps.mark.ParseGeneration(marker)
	switch {
	case !s.stamps.begun && (ok || !found):
		s.generation, s.tried = s.stamps.begin(ctx, left), []uint16{left}
	case !s.stamps.begun, ok && !slices.Contains(s.tried, left):
		// Its connections may be stamped in any way, and are until other rules are in force: somebody has
		// restored a ruleset of before, perhaps.
		s.generation = s.stamps.distrust()
	default:
		s.generation = s.stamps.next()
	}
	return nil
}

// stamping returns what gives generations.
func (s *Syncer) stamping() *stamps {
	if s.stamps == nil {
		s.stamps = &stamps{mark: cmp.Or(s.Mark, compile.DefaultMark), connections: s.Connections, free: func() {}, log: s.Log}
	}
	return s.stamps
}

// apply runs the transactions to their end even when the agent is asked to stop meanwhile.
func (s *Syncer) apply(ctx context.Context, ops []nft.Op) error {
	ctx, cancel := context.WithTimeout(logr.NewContext(context.WithoutCancel(ctx), s.Log), transactionTimeout)
	defer cancel()
	for _, phase := range nft.Phases(ops, nft.MaxSteps) {
		if err := nft.Apply(ctx, s.Kernel, phase); err != nil {
			s.expected = 0
			return err
		}
		s.expected = nft.NextRevision(s.expected)
	}
	return nil
}

// Verify looks whether the table in the kernel is still the one that was written last, and has the
// next Sync replace it if not: somebody may flush the ruleset, or edit it. It lists the table only
// if anybody's transaction has changed anything since it did so last, and the elements of sets, which
// take most of the time, only if anybody else's has. The rules it has to know, or it could not tell
// later that somebody replaced one.
func (s *Syncer) Verify(ctx context.Context) (ok bool, err error) {
	bound := true
	var failed error
	if s.Wiring != nil {
		bound, failed = s.Wiring.Verify(ctx)
	}
	ok, err = s.verify(ctx)
	return ok && bound, errors.Join(err, failed)
}

func (s *Syncer) verify(ctx context.Context) (ok bool, err error) {
	if !s.inStep {
		return true, nil // a sync failed, and is going to be repeated
	}
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	revision, err := s.Kernel.Revision(ctx)
	if err != nil || revision == s.verified {
		return err == nil, err
	}
	ok, err = s.compare(ctx, revision != s.expected)
	if ok {
		s.verified, s.expected = revision, revision
	}
	return ok, err
}

// Glance is a Verify without elements, and only after another process's transaction: it sees that the table is gone, or
// has other rules. It is quick enough to be called often.
func (s *Syncer) Glance(ctx context.Context) (ok bool, err error) {
	if !s.inStep {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	revision, err := s.Kernel.Revision(ctx)
	if err != nil || revision == s.verified || revision == s.expected || revision == s.glanced {
		return err == nil, err
	}
	ok, err = s.compare(ctx, false)
	if ok {
		s.glanced = revision
	}
	return ok, err
}

// compare looks whether the kernel holds what was written, with or without elements, and has the next Sync
// replace it if not.
func (s *Syncer) compare(ctx context.Context, elements bool) (ok bool, err error) {
	contents, err := s.Kernel.Contents(ctx, elements)
	if err != nil {
		return false, err
	}
	difference := s.auditor.Compare(s.compiler.Tracker().Table(), contents)
	if difference == "" {
		return true, nil
	}
	s.inStep, s.expected = false, 0
	s.auditor.Forget()
	s.Metrics.repairs.Inc()
	s.Log.Info("The table in the kernel is not the one that was written; writing it again", "difference", difference)
	return false, nil
}

// logRanges says once that nothing closes the addresses of pods that are not known yet.
func (s *Syncer) logRanges() {
	ungated := !s.compiler.Gated()
	if ungated && !s.ungated {
		s.Log.Info("This node's object has no spec.podCIDRs: pods are open until their addresses are known", "node", s.Node)
	}
	s.ungated = ungated
}
