package widening

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/world"
)

// declared is what the AppTiers of a namespace allow its pods in a direction.
type declared struct {
	*world.View
	direction networkingv1.PolicyType
	by        []*world.Policy
	boxes     []connset.Box
	// every holds all boxes if boxes are only about one pod; keys are the labels of subjects that any of
	// them asks for.
	every []connset.Box
	keys  []string

	// The following is computed once, for all rules of a policy.

	// about are boxes that differ in what they ask of namespaces, and kinds the answers of kindOf.
	about []connset.Box
	kinds map[*world.Namespace]string
	// shelves are the boxes, restricted to the namespaces of a kind.
	shelves map[string]*connset.Shelf
	// certain and possible are the pods of the policy that AppTiers isolate, see subjects.go.
	certain, possible []connset.Box
	// known are the answers about rules that allow the same.
	known map[string]*Widening
}

// declaredIn returns what all AppTiers of the policy's namespace declare in a direction.
func declaredIn(v *world.View, direction networkingv1.PolicyType) *declared {
	by := world.Where(v.Here.Generated, func(g *world.Policy) bool { return g.Isolates(direction) })
	return declaredBy(v, direction, by, by)
}

// declaredBy returns what some policies of AppTiers declare for the pods that others of them isolate.
func declaredBy(v *world.View, direction networkingv1.PolicyType, isolating, allowing []*world.Policy) *declared {
	d := &declared{View: v, direction: direction, by: isolating, known: map[string]*Widening{}}
	d.kinds, d.shelves = map[*world.Namespace]string{}, map[string]*connset.Shelf{}
	if len(isolating) == 0 {
		return d
	}
	for _, clause := range world.ClausesOf(allowing, direction) {
		d.boxes = append(d.boxes, clause.Box)
	}
	d.boxes = connset.Merged(d.boxes)
	for _, box := range d.boxes {
		d.keys = append(d.keys, box.Labels(connset.Subject)...)
	}
	slices.Sort(d.keys)
	d.keys = slices.Compact(d.keys)
	d.every, d.about = d.boxes, connset.Unlike(d.boxes, connset.Namespace)
	d.certain, d.possible = d.isolated()
	return d
}

// only returns what is declared about a pod with these labels.
func (d *declared) only(scope connset.Scope, labels map[string]string) *declared {
	only := *d
	only.boxes, only.shelves = allAt(d.boxes, scope, labels), map[string]*connset.Shelf{}
	return &only
}

// shelf holds what is declared about a place.
func (d *declared) shelf(at *world.Namespace) *connset.Shelf {
	kind := d.kindOf(at)
	shelf, found := d.shelves[kind]
	if !found {
		d.Work.Spend(len(d.boxes))
		shelf = connset.NewShelf(d.within(at, d.boxes))
		d.shelves[kind] = shelf
	}
	return shelf
}

// kindOf classifies namespaces by what is declared about them.
func (d *declared) kindOf(at *world.Namespace) string {
	if at == elsewhere {
		return "elsewhere"
	}
	kind, found := d.kinds[at]
	if !found {
		d.Work.Spend(len(d.about))
		matches := make([]byte, len(d.about))
		for i, box := range d.about {
			matches[i] = bit(box.Match(connset.Namespace, at.Labels))
		}
		kind = string(matches)
		d.kinds[at] = kind
	}
	return kind
}

// widening returns what a clause opens beyond what is declared; nil for nothing.
func (d *declared) widening(clause connset.Clause) *Widening {
	key := clause.Box.Key()
	if known, found := d.known[key]; found && len(clause.Named) == 0 {
		if known == nil {
			return nil
		}
		again := *known
		again.Clause = clause
		return &again
	}
	w := d.opened(clause, onlyOf(clause.Box, d.certain))
	if w == nil && d.opened(clause, onlyOf(clause.Box, d.possible)) != nil {
		w = &Widening{Direction: d.direction, Clause: clause, Unknown: subjectsUnknown}
	}
	if len(clause.Named) == 0 {
		d.known[key] = w
	}
	return w
}
