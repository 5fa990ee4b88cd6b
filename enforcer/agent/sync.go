package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/events"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
)

// transactionTimeout bounds one run of nft. A transaction of 10,000 elements takes well below a
// second.
const transactionTimeout = time.Minute

// Syncer makes the kernel equal to what the cluster's objects say. It is not safe for concurrent
// use: the loop calls it.
type Syncer struct {
	Node     string
	Kernel   nft.Kernel
	Snapshot func() reach.Snapshot
	Metrics  *Metrics
	Log      logr.Logger
	// Events tells the authors of policies what is wrong with them; may be nil.
	Events events.EventRecorder

	// applied is what the kernel holds; nil when that is not known, so that the next sync
	// replaces the whole table.
	applied    *nft.Table
	generation uint16
	memory     compile.Memory
	// verified is the kernel's revision at which it was seen to hold applied.
	verified uint32
	auditor  nft.Auditor
	problems map[string]bool // those that were reported
	refused  refused
	ungated  bool // the lack of ranges was logged
	begun    bool // the rules were written once
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
	snapshot := s.Snapshot()
	fromScratch := s.applied == nil
	err := s.program(ctx, snapshot)
	if err == nil || !fromScratch {
		return err
	}
	// It failed from scratch too, so it would go on failing if one of the policies is the cause.
	found, searched := s.findRefused(ctx, snapshot)
	if searched != nil || len(found) == 0 {
		return errors.Join(err, searched)
	}
	s.refused = found
	return s.program(ctx, snapshot)
}

// program makes the kernel hold what the snapshot says, except for the policies that it refuses.
func (s *Syncer) program(ctx context.Context, snapshot reach.Snapshot) error {
	ruleset := s.memory.Compile(snapshot, s.Node, s.refused.in(snapshot))
	s.reportProblems(snapshot, ruleset.Problems)
	s.logRanges(ruleset.Ranges)
	ops, table, err := s.plan(ctx, ruleset)
	if err != nil {
		return err
	}
	if len(ops) > 0 {
		if err := s.apply(ctx, ops); err != nil {
			s.applied = nil
			return fmt.Errorf("nftables transaction of %d steps: %w", len(ops), err)
		}
		if !s.begun {
			s.Log.Info("The rules are in the kernel", "pods", ruleset.Pods, "groups", len(ruleset.Groups), "sets", len(table.Sets), "elements", table.Elements())
		}
		s.applied, s.begun = &table, true
		s.Log.V(1).Info("Rules updated", "steps", len(ops), "generation", s.generation)
	}
	s.Metrics.describe(ruleset, *s.applied)
	return nil
}

// plan returns the steps to the wanted table, which are none if it is there already. Any change
// at all gets a new generation, so that live connections are judged again.
func (s *Syncer) plan(ctx context.Context, ruleset compile.Ruleset) ([]nft.Op, nft.Table, error) {
	if s.applied == nil {
		if err := s.adopt(ctx); err != nil {
			return nil, nft.Table{}, err
		}
		table := ruleset.Table(s.generation)
		return nft.Replace(table), table, nil
	}
	next := compile.NextGeneration(s.generation)
	table := ruleset.Table(next)
	ops := nft.Diff(*s.applied, table)
	if nft.Only(ops, compile.StampChains()...) {
		return nil, *s.applied, nil // but for the generation, it is the same
	}
	s.generation = next
	return ops, table, nil
}

// adopt chooses the generation of a table that is written from scratch: one that no live
// connection carries. That is the one after the table's that is in the kernel now; if there is
// none, connections may still bear the stamp of one that was removed, and only chance helps.
func (s *Syncer) adopt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	marker, found, err := nft.Marker(ctx, s.Kernel, compile.StampChain)
	if err != nil {
		return err
	}
	left, ok := compile.ParseGeneration(marker)
	switch {
	case found && ok:
		s.generation = compile.NextGeneration(left)
	case s.generation == 0:
		s.generation = uint16(1 + rand.IntN(compile.MaxGeneration)) //nolint:gosec // not a secret
	default:
		s.generation = compile.NextGeneration(s.generation)
	}
	return nil
}

// apply runs the transaction to its end even when the agent is asked to stop meanwhile.
func (s *Syncer) apply(ctx context.Context, ops []nft.Op) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionTimeout)
	defer cancel()
	return nft.Apply(ctx, s.Kernel, ops)
}

// Verify looks whether the table in the kernel is still the one that was written last, and has the
// next Sync replace it if not: somebody may flush the ruleset, or edit it. It lists the table only
// if anybody's transaction has changed anything since it did so last.
func (s *Syncer) Verify(ctx context.Context) (ok bool, err error) {
	if s.applied == nil {
		return true, nil // a sync failed, and is going to be repeated
	}
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	revision, err := s.Kernel.Revision(ctx)
	if err != nil || revision == s.verified {
		return err == nil, err
	}
	contents, err := s.Kernel.Contents(ctx)
	if err != nil {
		return false, err
	}
	difference := s.auditor.Compare(*s.applied, contents)
	if difference == "" {
		s.verified = revision
		return true, nil
	}
	s.applied = nil
	s.auditor.Forget()
	s.Metrics.repairs.Inc()
	s.Log.Info("The table in the kernel is not the one that was written; writing it again", "difference", difference)
	return false, nil
}

// logRanges says once that nothing closes the addresses of pods that are not known yet.
func (s *Syncer) logRanges(ranges []string) {
	if len(ranges) == 0 && !s.ungated {
		s.Log.Info("This node's object has no spec.podCIDRs: pods are open until their addresses are known", "node", s.Node)
	}
	s.ungated = len(ranges) == 0
}
