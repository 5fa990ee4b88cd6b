package prove

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/reach"
)

// ErrNoTable says that the kernel has no table of the enforcer.
var ErrNoTable = errors.New("this kernel has no table of the enforcer: ask where it runs, such as in its pod")

// StaleError says that the kernel's rules are not those of the objects: it is behind, or somebody changed them.
type StaleError struct{ Difference string }

func (e *StaleError) Error() string {
	return "the kernel's rules are not those of the API server's objects: " + e.Difference
}

// Kernel compares what the table of a kernel does with the policies of a snapshot, as the node of this name sees
// it: it makes sure, by the kernel's own listing, that the kernel has the rules that are expected, and then
// compares these rules, with the elements that the kernel's sets have, with the policies. The limits are those that
// the node's enforcer keeps policies to. Its error is ErrNoTable
// or a *StaleError where there is nothing to compare.
func Kernel(ctx context.Context, kernel nft.Kernel, snapshot reach.Snapshot, node string, limits budget.Limits) (Report, error) {
	marker, found, err := nft.Marker(ctx, kernel, compile.StampChain)
	if err != nil {
		return Report{}, err
	}
	contents, err := kernel.Contents(ctx, true)
	if err != nil {
		return Report{}, fmt.Errorf("listing the kernel's table: %w", err)
	}
	if !found || len(contents.Chains) == 0 {
		return Report{}, ErrNoTable
	}
	table := enforced(snapshot, node, limits, marker, contents)
	forms, err := nft.Forms(ctx, table)
	if err != nil {
		return Report{}, fmt.Errorf("asking the kernel how it lists rules: %w", err)
	}
	if difference := unlike(table, forms, contents); difference != "" {
		return Report{}, &StaleError{difference}
	}
	for name, set := range table.Sets {
		set.Elements = contents.Sets[name]
		table.Sets[name] = set
	}
	return Table(ctx, table, compile.ForwardChain, snapshot, node)
}

// enforced is the table of a snapshot, with what the kernel's alone says: the generation and whether addresses are
// bound to interfaces.
func enforced(snapshot reach.Snapshot, node string, limits budget.Limits, marker string, contents nft.Contents) nft.Table {
	c := compile.New(node)
	c.Limit(limits)
	mark, generation := compile.ParseMarker(marker)
	c.UseMark(mark)
	c.BindAddresses(len(contents.Chains[compile.SourceChain].Rules) > 0)
	c.Tell(snapshot)
	return c.Ruleset().Table(generation)
}

// unlike names a difference between a table and what a kernel holds, but for the elements of sets; empty if there is
// none.
func unlike(table nft.Table, forms map[string][]string, got nft.Contents) string {
	for name, chain := range table.Chains {
		there, found := got.Chains[name]
		switch {
		case !found:
			return fmt.Sprintf("chain %s is missing", name)
		case chain.Base.In(table.Family) != there.Base:
			return fmt.Sprintf("chain %s hooks into %q", name, there.Base)
		case !slices.Equal(forms[name], there.Rules):
			return fmt.Sprintf("chain %s has other rules", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got.Chains)) {
		if _, found := table.Chains[name]; !found {
			return fmt.Sprintf("chain %s was added", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table.Sets)) {
		if _, found := got.Sets[name]; !found {
			return fmt.Sprintf("set %s is missing", name)
		}
	}
	if got.Dormant {
		return "the table is dormant: no packet meets it"
	}
	return ""
}
