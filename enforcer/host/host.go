package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/nft/wire"
)

const (
	// kernelLacks: the kernel does not know what the rules are made of.
	kernelLacks health.Reason = "KernelLacks"
	// markShared: rules of others use the bits of marks that say that a connection is allowed.
	markShared health.Reason = "MarkShared"
	// flowTables: rules of others let connections bypass the forward hook.
	flowTables health.Reason = "PassedByFlowTable"
)

const (
	// lookEvery is how often the node is looked at again, if anything has changed: to list all rules of a large
	// node takes tens of milliseconds.
	lookEvery = time.Minute
	// lookShare makes looks rarer if they take long: they take at most one part in lookShare of the time.
	lookShare = 100
)

// Node is the kernel of one node, as seen from a network namespace. Look and Watch must not be called at the same
// time.
type Node struct {
	mark     compile.Mark
	log      logr.Logger
	features []Feature

	conn   *wire.Conn
	probes probes
	probed bool // all features are there
	// revision is the kernel's when others' rules were last listed, as long as listed.
	revision uint32
	listed   bool

	mu       sync.Mutex
	problems []health.Problem
	missing  []Missing
	others   wire.Others
}

// Open looks at the kernel from the network namespace of the calling thread. Mark is the enforcer's own bits of
// marks.
func Open(mark compile.Mark, log logr.Logger) (*Node, error) {
	conn, err := wire.Open(compile.TableName)
	if err != nil {
		return nil, err
	}
	probes, err := openProbes()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Node{mark: mark, log: log, features: Features(), conn: conn, probes: probes}, nil
}

// Close ends the connections to the kernel.
func (n *Node) Close() error { return errors.Join(n.conn.Close(), n.probes.close()) }

// Look asks the kernel for all features until it has them, because a module may be loaded later, and lists the rules
// of others if anything has changed since the last list. After an error, what it did not read stays unchanged.
func (n *Node) Look(ctx context.Context) error {
	if !n.probed {
		missing, err := n.probes.ask(ctx, n.features)
		if err != nil {
			return fmt.Errorf("looking for what the kernel lacks: %w", err)
		}
		n.probed = len(missing) == 0
		n.note(func() { n.missing = missing })
	}
	revision, err := n.conn.Revision()
	if err != nil {
		return err
	}
	if n.listed && revision == n.revision {
		return nil
	}
	others, err := n.conn.Others()
	if err != nil {
		return err
	}
	n.revision, n.listed = revision, true
	n.note(func() { n.others = others })
	return nil
}

// note changes what Problems returns.
func (n *Node) note(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	n.problems = problems(n.missing, n.others, n.mark)
}

// Watch looks until the context ends.
func (n *Node) Watch(ctx context.Context) {
	for {
		started := time.Now()
		if err := n.Look(ctx); err != nil {
			n.log.Error(err, "Cannot look at what else is in the kernel")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(lookEvery, lookShare*time.Since(started))):
		}
	}
}

// Problems is a health.Report's check.
func (n *Node) Problems(time.Time) []health.Problem {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.problems
}

// problems says what is wrong with what was found.
func problems(missing []Missing, others wire.Others, mark compile.Mark) []health.Problem {
	var out []health.Problem
	if len(missing) > 0 {
		out = append(out, health.Problem{Reason: kernelLacks, Severity: health.NotReady, Message: describe(missing)})
	}
	var tables, chains []string
	for _, f := range others.FlowTables {
		tables = append(tables, f.String())
	}
	if len(tables) > 0 {
		out = append(out, health.Problem{Reason: flowTables, Severity: health.NotReady, Message: fmt.Sprintf(
			"the flow tables %s take connections past the rules, so that they go on when policies change: remove the rules that name them", few(tables))})
	}
	for _, use := range others.Marks {
		if shared := use.Bits & uint32(mark); shared != 0 {
			chains = append(chains, fmt.Sprintf("%s (mask 0x%08x)", use.Chain, use.Bits))
		}
	}
	if len(chains) > 0 {
		out = append(out, health.Problem{Reason: markShared, Severity: health.Warning, Message: fmt.Sprintf(
			"rules of the chains %s use bits of connections' ct marks that are the enforcer's (%s), and may have connections taken for allowed or allowed ones judged over and over: "+
				"choose bits that nobody else uses with --ct-mark-mask, or give these rules a mask", few(chains), mark)})
	}
	return out
}

// few names some of many.
func few(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
