package nft

import (
	"strings"

	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft/wire"
)

// Renew returns the steps that make the kernel's table equal to wanted, as Replace does, but keep what rules have put into
// dynamic sets, and what counters have counted. They are one transaction, and come from the contents of the table, which
// are all that is known of it: nil if there is nothing to keep, or no way to. A kernel may refuse them where it takes
// Replace, if the table has what no contents tell.
func Renew(wanted Table, got Contents) []Op {
	kept := Table{Chains: map[string]Chain{}, Sets: map[string]Set{}, Counters: map[string]Counter{}}
	for name, set := range wanted.Sets {
		was := set
		was.Comment, was.Elements = "", nil
		if there, ok := got.Dynamic[name]; ok && set.Dynamic != (Dynamic{}) && there.sameDefinition(was) {
			kept.Sets[name] = set
		}
	}
	if len(kept.Sets) == 0 || got.Flagged && !got.Left {
		return nil
	}
	for name, counter := range wanted.Counters {
		if got.Counters[name] {
			kept.Counters[name] = counter
		}
	}
	// A table that changes its owner takes no base chain in the same transaction (nf_tables_addchain), so they stay.
	for name, chain := range wanted.Chains {
		if there, ok := got.Chains[name]; ok && chain.Base != nil && chain.Base.In(wanted.Family) == there.Base {
			kept.Chains[name] = Chain{Base: chain.Base, Rules: chain.Rules[:0]}
		}
	}
	table := &knftables.Table{Comment: comment(wanted.Comment)}
	if got.Left {
		table.Flags = wire.Take().Flags
	}
	d := &steps{}
	d.add(table)
	d.clear(got, kept)
	d.define(kept, wanted)
	d.elements(kept, wanted)
	d.rules(kept, wanted)
	return d.ops
}

// clear deletes all that a kernel holds, but for what is kept, in the order of remove.
func (d *steps) clear(got Contents, kept Table) {
	for _, name := range sorted(got.Chains) {
		d.flush(&knftables.Chain{Name: name})
	}
	for _, name := range sorted(got.Sets) {
		// A set without a name of its own goes with the rule that has it: see nf_tables_unbind_set.
		if _, stays := kept.Sets[name]; !stays && !strings.HasPrefix(name, "__") {
			d.delete(&knftables.Set{Name: name})
		}
	}
	for _, name := range sorted(got.Chains) {
		if _, stays := kept.Chains[name]; !stays {
			d.delete(&knftables.Chain{Name: name})
		}
	}
	for _, name := range sorted(got.Counters) {
		if _, stays := kept.Counters[name]; !stays {
			d.delete(&knftables.Counter{Name: name})
		}
	}
}
