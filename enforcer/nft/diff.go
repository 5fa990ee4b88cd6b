package nft

import (
	"slices"
	"strings"

	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft/wire"
)

// Op is one step of a transaction.
type Op = wire.Step

// The verbs that a difference needs.
const (
	Add    = wire.Add
	Flush  = wire.Flush
	Delete = wire.Delete
)

// Diff returns the steps that turn old, as it is in the kernel, into wanted. It is empty when
// they are equal. Both must be the same table by family and name.
//
// A set, chain or counter keeps its type, hook and comment for life: nft cannot change them in place, so
// if one of them did change, Diff falls back to Replace. Names built from content avoid that.
//
// The order of steps is what makes any difference fit one transaction: what is pointed to is
// added before what points to it, and deleted after.
func Diff(old, wanted Table) []Op {
	if !inPlace(old, wanted) {
		return Replace(wanted)
	}
	d := &steps{}
	d.define(old, wanted)
	d.elements(old, wanted)
	d.rules(old, wanted)
	d.remove(old, wanted)
	return d.ops
}

// Replace returns the steps that make the kernel's table equal to wanted, from any state.
// It is still one transaction: a packet sees the table before or after.
func Replace(wanted Table) []Op {
	// Adding first makes the delete succeed when there is no such table: `nft destroy` would say
	// the same, but needs nft 1.0.8.
	table := &knftables.Table{Comment: comment(wanted.Comment)}
	d := &steps{}
	d.add(table)
	d.delete(&knftables.Table{})
	d.add(table)
	nothing := Table{}
	d.define(nothing, wanted)
	d.elements(nothing, wanted)
	d.rules(nothing, wanted)
	return d.ops
}

func inPlace(old, wanted Table) bool {
	if old.Comment != wanted.Comment {
		return false
	}
	for name, set := range wanted.Sets {
		if before, ok := old.Sets[name]; ok && !before.sameDefinition(set) {
			return false
		}
	}
	for name, chain := range wanted.Chains {
		if before, ok := old.Chains[name]; ok && !before.sameDefinition(chain) {
			return false
		}
	}
	for name, counter := range wanted.Counters {
		if before, ok := old.Counters[name]; ok && before != counter {
			return false
		}
	}
	return true
}

type steps struct{ ops []Op }

func (d *steps) add(o knftables.Object)    { d.ops = append(d.ops, Op{Verb: Add, Object: o}) }
func (d *steps) flush(o knftables.Object)  { d.ops = append(d.ops, Op{Verb: Flush, Object: o}) }
func (d *steps) delete(o knftables.Object) { d.ops = append(d.ops, Op{Verb: Delete, Object: o}) }

// define adds new counters, chains, sets and maps, all still empty.
func (d *steps) define(old, wanted Table) {
	for _, name := range sorted(wanted.Counters) {
		if _, ok := old.Counters[name]; !ok {
			d.add(wanted.Counters[name].object(name))
		}
	}
	for _, name := range sorted(wanted.Chains) {
		if _, ok := old.Chains[name]; !ok {
			d.add(wanted.Chains[name].object(name))
		}
	}
	for _, name := range sorted(wanted.Sets) {
		if _, ok := old.Sets[name]; !ok {
			d.add(wanted.Sets[name].object(name))
		}
	}
}

// elements makes the contents of sets and maps right. Deletes come first, over all sets: an
// element that changes is a delete and an add of one key.
func (d *steps) elements(old, wanted Table) {
	for _, name := range sorted(wanted.Sets) {
		set, before := wanted.Sets[name], old.Sets[name]
		for _, key := range missing(before.Elements, set.Elements) {
			d.delete(set.element(name, key, Element{}))
		}
	}
	for _, name := range sorted(wanted.Sets) {
		set, before := wanted.Sets[name], old.Sets[name]
		for _, key := range missing(set.Elements, before.Elements) {
			d.add(set.element(name, key, set.Elements[key]))
		}
	}
}

// missing returns the keys of what is in one set and not, or not so, in another; sorted. Few are,
// of the many that large sets have.
func missing(from, in map[string]Element) []string {
	var keys []string
	for key, element := range from {
		if other, ok := in[key]; !ok || other != element {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// rules fills new chains and refills changed ones.
func (d *steps) rules(old, wanted Table) {
	for _, name := range sorted(wanted.Chains) {
		chain := wanted.Chains[name]
		before, existed := old.Chains[name]
		if existed && slices.EqualFunc(before.Rules, chain.Rules, Rule.Equal) {
			continue
		}
		if existed {
			d.flush(&knftables.Chain{Name: name})
		}
		for _, rule := range chain.Rules {
			d.add(&wire.Rule{Rule: knftables.Rule{Chain: name, Comment: comment(rule.Comment)}, Exprs: rule.Exprs})
		}
	}
}

// remove deletes what is not wanted. Rules go first, for they hold sets and chains in use, and
// maps go before chains, for their elements do.
func (d *steps) remove(old, wanted Table) {
	var chains []string
	for _, name := range sorted(old.Chains) {
		if _, ok := wanted.Chains[name]; !ok {
			chains = append(chains, name)
			d.flush(&knftables.Chain{Name: name})
		}
	}
	for _, name := range sorted(old.Sets) {
		if _, ok := wanted.Sets[name]; !ok {
			d.delete(old.Sets[name].object(name))
		}
	}
	for _, name := range chains {
		d.delete(&knftables.Chain{Name: name})
	}
	for _, name := range sorted(old.Counters) {
		if _, ok := wanted.Counters[name]; !ok {
			d.delete(&knftables.Counter{Name: name})
		}
	}
}

func (c Counter) object(name string) *knftables.Counter {
	return &knftables.Counter{Name: name, Comment: comment(c.Comment)}
}

func (c Chain) object(name string) *knftables.Chain {
	out := &knftables.Chain{Name: name, Comment: comment(c.Comment)}
	if c.Base != nil {
		out.Type = knftables.PtrTo(knftables.FilterType)
		out.Hook = knftables.PtrTo(c.Base.Hook)
		out.Priority = knftables.PtrTo(c.Base.Priority)
		out.Policy = knftables.PtrTo(c.Base.Policy)
	}
	return out
}

func (s Set) object(name string) knftables.Object {
	var flags []knftables.SetFlag
	if s.Interval {
		flags = []knftables.SetFlag{knftables.IntervalFlag}
	}
	if s.Value == "" {
		set := &knftables.Set{Name: name, Type: s.Key, Flags: flags, Comment: comment(s.Comment)}
		if s.Dynamic != (Dynamic{}) {
			set.Flags = []knftables.SetFlag{knftables.DynamicFlag, knftables.TimeoutFlag}
			set.Size, set.Timeout = knftables.PtrTo(uint64(s.Dynamic.Size)), knftables.PtrTo(s.Dynamic.Timeout)
		}
		return set
	}
	return &knftables.Map{Name: name, Type: s.Key + " : " + s.Value, Flags: flags, Comment: comment(s.Comment)}
}

func (s Set) element(name, key string, e Element) *knftables.Element {
	out := &knftables.Element{Key: strings.Split(key, keySeparator), Comment: comment(e.Comment)}
	if s.Value == "" {
		out.Set = name
		return out
	}
	out.Map = name
	if e.Value != "" {
		out.Value = []string{e.Value}
	}
	return out
}

func comment(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
