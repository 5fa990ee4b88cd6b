package lab

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/policy/reach"
)

// Tester is what tests and rapid's checks have in common.
type Tester interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Failed() bool
}

// Table is what the node enforces.
func (l *Lab) Table(snapshot reach.Snapshot, generation uint16) nft.Table {
	c := compile.New(NodeName)
	if l.MergeAbove > 0 {
		c.MergeAbove(l.MergeAbove)
	}
	if l.RecordAllowed {
		c.RecordAllowed()
	}
	if l.Observe {
		c.Observe()
	}
	c.SetLinks(l.Links.Uplinks, l.Links.Bridges, l.Links.Tunnels)
	c.Tell(snapshot)
	return c.Ruleset().Table(generation)
}

// Load puts a snapshot's ruleset into the node's kernel.
func (l *Lab) Load(t Tester, snapshot reach.Snapshot, generation uint16) nft.Table {
	t.Helper()
	table := l.Table(snapshot, generation)
	l.Apply(t, nft.Replace(table))
	return table
}

// Change applies the difference between what the kernel holds and a snapshot's ruleset.
func (l *Lab) Change(t Tester, before nft.Table, snapshot reach.Snapshot, generation uint16) nft.Table {
	t.Helper()
	after := l.Table(snapshot, generation)
	l.Apply(t, nft.Diff(before, after))
	return after
}

// Apply runs a transaction in the node's kernel.
func (l *Lab) Apply(t Tester, ops []nft.Op) {
	t.Helper()
	Must(t, network.In(l.Node, func() error {
		kernel, err := nft.Open(compile.TableFamily, compile.TableName)
		if err != nil {
			return err
		}
		return nft.Apply(context.Background(), kernel, ops)
	}))
}

// NFT loads a script into the node.
func (l *Lab) NFT(t testing.TB, script string) {
	t.Helper()
	Must(t, network.In(l.Node, func() error {
		cmd := exec.CommandContext(context.Background(), "nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}))
}

// Unload takes the enforcer's rules away.
func (l *Lab) Unload(t testing.TB) {
	t.Helper()
	for _, family := range []string{string(compile.TableFamily), string(bind.TableFamily)} {
		table := fmt.Sprintf("table %s %s", family, compile.TableName)
		l.NFT(t, table+"\ndelete "+table)
	}
}
