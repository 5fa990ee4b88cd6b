package kernel

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/wire"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// node is the kernel of one network namespace.
type node struct {
	nft.Kernel
	ns netns.NsHandle
	// refuse makes the kernel refuse transactions: they are committed whole, or not at all. With poison
	// it refuses those that contain this text.
	refuse bool
	poison string
	// listings counts those of everything that the table holds.
	listings int
}

func openNode(t testing.TB, ns netns.NsHandle) *node {
	t.Helper()
	n := &node{ns: ns}
	lab.Must(t, network.In(n.ns, func() (err error) {
		n.Kernel, err = nft.Open(compile.TableFamily, compile.TableName)
		return err
	}))
	t.Cleanup(func() { lab.Must(t, n.Kernel.(io.Closer).Close()) })
	return n
}

// Apply is nft.Applier's. A transaction to be refused ends with a step that cannot be.
func (n *node) Apply(ctx context.Context, ops []nft.Op) error {
	if n.refuses(func() string {
		tx := n.NewTransaction()
		for _, op := range ops {
			tx.Add(op.Object)
		}
		return tx.String()
	}) {
		ops = append(slices.Clone(ops), nft.Op{Verb: nft.Add, Object: refused})
	}
	return network.In(n.ns, func() error { return nft.Apply(ctx, n.Kernel, ops) })
}

// Run is nft.Kernel's. A transaction to be refused ends with a step that cannot be.
func (n *node) Run(ctx context.Context, tx *knftables.Transaction) error {
	n.spoil(tx)
	return network.In(n.ns, func() error { return n.Kernel.Run(ctx, tx) })
}

// refused is a step that no kernel takes.
var refused = jump(compile.StampChain, "nowhere")

// jump is a rule that leads from a chain to another.
func jump(from, to string) *wire.Rule { return ruleIn(from, expr.Jump(to)) }

func ruleIn(chain string, exprs ...expr.Expr) *wire.Rule {
	return &wire.Rule{Rule: knftables.Rule{Chain: chain}, Exprs: exprs}
}

func (n *node) refuses(text func() string) bool {
	return n.refuse || n.poison != "" && strings.Contains(text(), n.poison)
}

func (n *node) spoil(tx *knftables.Transaction) {
	if n.refuses(tx.String) {
		tx.Add(refused.Text())
	}
}

// inside calls a method of nft.Kernel in the node's namespace.
func inside[T any](n *node, call func() (T, error)) (result T, err error) {
	err = network.In(n.ns, func() error {
		result, err = call()
		return err
	})
	return result, err
}

// Check is nft.Kernel's, as are the others.
func (n *node) Check(ctx context.Context, tx *knftables.Transaction) error {
	n.spoil(tx)
	return network.In(n.ns, func() error { return n.Kernel.Check(ctx, tx) })
}

func (n *node) ListRules(ctx context.Context, chain string) ([]*knftables.Rule, error) {
	return inside(n, func() ([]*knftables.Rule, error) { return n.Kernel.ListRules(ctx, chain) })
}

func (n *node) ListCounters(ctx context.Context) ([]*knftables.Counter, error) {
	return inside(n, func() ([]*knftables.Counter, error) { return n.Kernel.ListCounters(ctx) })
}

func (n *node) Contents(ctx context.Context, elements bool) (nft.Contents, error) {
	if elements {
		n.listings++
	}
	return inside(n, func() (nft.Contents, error) { return n.Kernel.Contents(ctx, elements) })
}

func (n *node) Revision(ctx context.Context) (uint32, error) {
	return inside(n, func() (uint32, error) { return n.Kernel.Revision(ctx) })
}
