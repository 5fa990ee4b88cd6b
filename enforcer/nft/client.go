package nft

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft/wire"
)

// Writer takes transactions.
type Writer interface {
	NewTransaction() *knftables.Transaction
	Run(ctx context.Context, tx *knftables.Transaction) error
}

// Kernel is one table of a kernel, which need not exist.
type Kernel interface {
	Writer
	// Check says whether the kernel would accept a transaction.
	Check(ctx context.Context, tx *knftables.Transaction) error
	ListRules(ctx context.Context, chain string) ([]*knftables.Rule, error)
	ListCounters(ctx context.Context) ([]*knftables.Counter, error)
	// Contents lists the table: all of it, or all but the elements of its sets, of which there may be
	// many.
	Contents(ctx context.Context, elements bool) (Contents, error)
	// Revision changes with every transaction, of any process and on any table.
	Revision(ctx context.Context) (uint32, error)
}

// Applier is a Writer that takes steps as they are, which Apply prefers.
type Applier interface {
	Apply(ctx context.Context, ops []Op) error
}

// Checker is a Kernel that checks steps as they are, which Check prefers.
type Checker interface {
	CheckSteps(ctx context.Context, ops []Op) error
}

// realKernel is the kernel, in this process's network namespace.
type realKernel struct {
	// Interface is the nft program, which writes and checks what package wire does not know. Where there is
	// no such program, it makes transactions and runs none.
	knftables.Interface
	program bool
	direct  *wire.Conn
	// records lists what rules have recorded. That takes its time, and nobody who applies steps waits for it.
	records *wire.Conn
}

// Option changes how a kernel is opened.
type Option func(*realKernel) error

// Owned has the table belong to this kernel's connection where the kernel of the node can do that, from
// Linux 6.9 on: nobody else can change it or flush it until the connection ends, and it stays afterwards.
func Owned(k *realKernel) error {
	_, err := k.direct.Own()
	return err
}

// Open connects to one table of the kernel, which need not exist yet; it must be called in the network
// namespace that its methods are called in. Close ends the connection, if there is more to come after
// it. Its errors say what to do about them.
func Open(family knftables.Family, table string, options ...Option) (Kernel, error) {
	if family != Inet && family != Bridge {
		return nil, fmt.Errorf("a table of family %s: only tables of the families %s and %s are known", family, Inet, Bridge)
	}
	direct, err := wire.OpenIn(family, table)
	if err != nil {
		return nil, err
	}
	records, err := wire.OpenIn(family, table)
	if err != nil {
		return nil, errors.Join(err, direct.Close())
	}
	k := realKernel{Interface: knftables.NewFake(family, table), direct: direct, records: records}
	if program, err := knftables.New(family, table); err == nil {
		k.Interface, k.program = program, true
	}
	if err := supported(direct); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	for _, option := range options {
		if err := option(&k); err != nil {
			return nil, errors.Join(err, k.Close())
		}
	}
	return k, nil
}

// supported says whether the kernel accepts tables from this process.
func supported(direct *wire.Conn) error {
	return refusal(direct.Check([]wire.Step{{Verb: wire.Add, Object: &knftables.Table{}}}), canAdministerNetwork())
}

// refusal explains the kernel's answer to a table, for a process with or without NET_ADMIN.
func refusal(err error, may bool) error {
	var step *wire.StepError
	switch {
	case err == nil, errors.Is(err, unix.EPERM) && may: // another process owns the table, for now
		return nil
	case !may:
		return errors.New("the kernel refuses nftables to this process: run it as root with the capability NET_ADMIN")
	case errors.As(err, &step) && errors.Is(err, unix.EOPNOTSUPP):
		return nil // nf_tables is there, but not the family: package host reports it, and other tables work
	default:
		return fmt.Errorf("the kernel does not support nftables: load its module nf_tables (%w)", err)
	}
}

// IsOwned says whether this connection owns the table, as Owned requests.
func (k realKernel) IsOwned() bool { return k.direct.Owned() }

// Close ends the connections, and changes nothing in the kernel.
func (k realKernel) Close() error { return errors.Join(k.direct.Close(), k.records.Close()) }

// canAdministerNetwork says whether the process has the capability NET_ADMIN; see capget(2).
func canAdministerNetwork() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return true // not known: let another explanation have its turn
	}
	return data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}

// Apply runs the steps as one transaction: all of them, or none. A wire.StepError names the one that
// the kernel refused, where that is known.
func Apply(ctx context.Context, kernel Writer, ops []Op) error {
	if len(ops) == 0 {
		return nil
	}
	if applier, ok := kernel.(Applier); ok {
		return applier.Apply(ctx, ops)
	}
	return kernel.Run(ctx, transaction(kernel, ops))
}

// Apply writes the steps over netlink, which takes well below a millisecond where starting the nft
// program takes five. That program writes what package wire does not know.
func (k realKernel) Apply(ctx context.Context, ops []Op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := k.direct.Run(ops)
	var unsupported *wire.UnsupportedError
	if !errors.As(err, &unsupported) {
		return err
	}
	logr.FromContextOrDiscard(ctx).V(1).Info("The nft program writes a transaction that could not be written over netlink", "reason", unsupported.Error())
	if !k.program {
		return fmt.Errorf("%w, and the nft program, which may know it, is not in PATH", err)
	}
	return k.Run(ctx, transaction(k, ops))
}

// CheckSteps is Checker's.
func (k realKernel) CheckSteps(ctx context.Context, ops []Op) error {
	err := k.direct.Check(ops)
	var unsupported *wire.UnsupportedError
	if !k.program || !errors.As(err, &unsupported) {
		return err
	}
	return k.Check(ctx, transaction(k, ops))
}

// ListRules returns the rules of a chain, and of each nothing but its comment.
func (k realKernel) ListRules(_ context.Context, chain string) ([]*knftables.Rule, error) {
	comment, found, err := k.direct.Comment(chain)
	if err != nil || !found {
		return nil, err
	}
	return []*knftables.Rule{{Chain: chain, Comment: &comment}}, nil
}

// Check says whether the kernel would accept the steps.
func Check(ctx context.Context, kernel Kernel, ops []Op) error {
	if checker, ok := kernel.(Checker); ok {
		return checker.CheckSteps(ctx, ops)
	}
	return kernel.Check(ctx, transaction(kernel, ops))
}

func transaction(kernel Writer, ops []Op) *knftables.Transaction {
	tx := kernel.NewTransaction()
	for _, op := range ops {
		object := op.Object
		if rule, isRule := object.(*wire.Rule); isRule {
			object = rule.Text()
		}
		switch op.Verb {
		case Add:
			tx.Add(object)
		case Flush:
			tx.Flush(object)
		case Delete:
			tx.Delete(object)
		}
	}
	return tx
}

// RemoveTable removes the whole table and with it every rule; it succeeds when there is none.
func RemoveTable(ctx context.Context, kernel Writer) error {
	return Apply(ctx, kernel, []Op{
		{Verb: Add, Object: &knftables.Table{}},
		{Verb: Delete, Object: &knftables.Table{}},
	})
}

// Marker returns the comment of a chain's first rule. It is how one process recognizes the table
// that another left: found is false when the table, the chain or the rule is missing.
func Marker(ctx context.Context, kernel Kernel, chain string) (text string, found bool, err error) {
	rules, err := kernel.ListRules(ctx, chain)
	if knftables.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("listing chain %s: %w", chain, err)
	}
	if len(rules) == 0 || rules[0].Comment == nil {
		return "", false, nil
	}
	return *rules[0].Comment, true, nil
}

// Counts returns how many packets each named counter has seen; it is empty without the table.
func Counts(ctx context.Context, kernel Kernel) (map[string]uint64, error) {
	counters, err := kernel.ListCounters(ctx)
	if knftables.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing counters: %w", err)
	}
	counts := map[string]uint64{}
	for _, c := range counters {
		if c.Packets != nil {
			counts[c.Name] = *c.Packets
		}
	}
	return counts, nil
}
