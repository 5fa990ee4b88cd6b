package nft

import (
	"slices"

	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft/wire"
)

// MaxSteps is how many steps a transaction may have that changes nothing for packets, which is some tens of
// milliseconds in which no other program's transaction gets on.
const MaxSteps = 4000

// Phases splits the steps of a difference into transactions, of which one alone changes what happens to
// packets: what is new is made before, and what nothing points to any more is removed after, at most so many
// steps at a time. The kernel runs one transaction at a time, of all processes and tables.
//
// One transaction would be atomic for the rules, and for the elements, but not for both at once: a
// packet keeps to the generation of rules that it began with (nft_do_chain in the kernel's
// nf_tables_core.c), and looks elements up in the present one (nft_set_elem_active). If it began just
// before a commit, an element may send it into a chain that is still empty in its generation, and sets
// of its own rules are empty when they are deleted: it would be dropped, even if both rulesets allow it.
func Phases(ops []Op, most int) [][]Op {
	made, gone := map[object]bool{}, map[object]bool{}
	for _, op := range ops {
		if _, isTable := op.Object.(*knftables.Table); isTable {
			return [][]Op{ops} // everything is another
		}
		if it, whole := about(op.Object); whole && op.Verb == Add {
			made[it] = true
		} else if whole && op.Verb == Delete {
			gone[it] = true
		}
	}
	var before, change, after []Op
	for _, op := range ops {
		switch it, _ := about(op.Object); {
		case gone[it]:
			after = append(after, op)
		case made[it]:
			before = append(before, op)
		default:
			change = append(change, op)
		}
	}
	phases := slices.Collect(slices.Chunk(before, most))
	if len(change) > 0 {
		phases = append(phases, change)
	}
	return slices.AppendSeq(phases, slices.Chunk(after, most))
}

// object is a chain, a set or a map, or a counter.
type object struct{ kind, name string }

// about returns the object that a step is about, and whether the step is about the whole of it and not
// about its rules or elements.
func about(o knftables.Object) (it object, whole bool) {
	switch o := o.(type) {
	case *knftables.Chain:
		return object{"chain", o.Name}, true
	case *wire.Rule:
		return object{"chain", o.Chain}, false
	case *knftables.Set:
		return object{"set", o.Name}, true
	case *knftables.Map:
		return object{"set", o.Name}, true
	case *knftables.Element:
		return object{"set", o.Set + o.Map}, false
	case *knftables.Counter:
		return object{"counter", o.Name}, true
	}
	return object{}, false
}
