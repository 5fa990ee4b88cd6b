package prove

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// ErrNoTable says that the kernel has no table of the enforcer.
var ErrNoTable = errors.New("this kernel has no table of the enforcer: ask where it runs, such as in its pod")

// StaleError says that the kernel's rules differ from those of the objects: the node is behind, or somebody changed them.
type StaleError struct{ Difference string }

func (e *StaleError) Error() string {
	return "the kernel's rules are not those of the API server's objects: " + e.Difference
}

// Kernel compares the table in a kernel with the policies of a snapshot, as the node of this name sees it. First it
// checks the kernel's own listing: the kernel must have the expected rules. Then it compares these rules, with the
// elements of the kernel's sets, with the policies. The limits are those of the node's enforcer. Policies above them are
// compared as they are enforced, and the report lists them. The error is ErrNoTable or a *StaleError if there is nothing
// to compare.
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
	ruleset, generation := enforced(snapshot, node, limits, marker, contents)
	table := ruleset.Table(generation)
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
	refused := refusedIn(ruleset)
	snapshot.Policies = closed(snapshot.Policies, refused)
	report, err := Table(ctx, table, compile.ForwardChain, snapshot, node)
	report.Refused = refused
	return report, err
}

// refusedIn names the policies that are above their budget, sorted.
func refusedIn(ruleset compile.Ruleset) []string {
	var out []string
	for _, problem := range ruleset.Problems {
		if exceeded := (*budget.ExceededError)(nil); errors.As(problem, &exceeded) {
			out = append(out, problem.Policy)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(out)))
}

// closed returns the policies, and the refused ones without rules. Refused is sorted.
func closed(policies []*networkingv1.NetworkPolicy, refused []string) []*networkingv1.NetworkPolicy {
	out := slices.Clone(policies)
	for i, policy := range out {
		if _, found := slices.BinarySearch(refused, policy.Namespace+"/"+policy.Name); found {
			out[i] = kube.WithoutRules(policy)
		}
	}
	return out
}

// enforced is what the node enforces of a snapshot. Two things are known from the kernel's table only: the generation, and
// whether addresses are bound to interfaces.
func enforced(snapshot reach.Snapshot, node string, limits budget.Limits, marker string,
	contents nft.Contents) (ruleset compile.Ruleset, generation uint16) {
	c := compile.New(node)
	c.Limit(limits)
	mark, generation := compile.ParseMarker(marker)
	c.UseMark(mark)
	if _, records := contents.Sets[compile.AllowedSet]; records {
		c.RecordAllowed()
	}
	if compile.Observes(contents) {
		c.Observe()
	}
	c.BindAddresses(len(contents.Chains[compile.SourceChain].Rules) > 0)
	c.Tell(snapshot)
	return c.Ruleset(), generation
}

// unlike names a difference between a table and the contents of a kernel, without the elements of sets; empty if there
// is none.
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
