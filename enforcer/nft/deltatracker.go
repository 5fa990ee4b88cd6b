package nft

import "maps"

// DeltaTracker is a table that changes in place, and what it was where it has changed since it was last
// committed. So the steps to the changed table cost what has changed, not what there is.
type DeltaTracker struct {
	table Table
	// chains and sets are the old versions of the touched ones: nil if there was none.
	chains map[string]*Chain
	sets   map[string]*setBefore
}

// setBefore is what a set was.
type setBefore struct {
	// set is its definition; nil if it was not there.
	set *Set
	// elements are the old versions of the touched ones: nil if there was none.
	elements map[string]*Element
	// left are the elements that it had when it was deleted; nil if it never was.
	left map[string]Element
}

// NewDeltaTracker returns the delta tracker of a table, which from then on is the tracker's alone.
func NewDeltaTracker(t Table) *DeltaTracker {
	d := &DeltaTracker{table: t}
	d.Commit()
	return d
}

// Table returns the table as it is now. It must not be modified, and changes with the tracker.
func (d *DeltaTracker) Table() Table { return d.table }

// Commit forgets what the table was: what it is now is in the kernel.
func (d *DeltaTracker) Commit() {
	d.chains, d.sets = map[string]*Chain{}, map[string]*setBefore{}
}

// Steps returns the steps from the committed table to the present one: the same as Diff.
func (d *DeltaTracker) Steps() []Op {
	old, wanted := d.touched()
	if !inPlace(old, wanted) {
		return Replace(d.table)
	}
	return Diff(old, wanted)
}

// SetChain adds a chain or replaces one.
func (d *DeltaTracker) SetChain(name string, c Chain) {
	d.touchChain(name)
	d.table.Chains[name] = c
}

// DeleteChain deletes a chain.
func (d *DeltaTracker) DeleteChain(name string) {
	d.touchChain(name)
	delete(d.table.Chains, name)
}

func (d *DeltaTracker) touchChain(name string) {
	if _, touched := d.chains[name]; touched {
		return
	}
	if before, ok := d.table.Chains[name]; ok {
		d.chains[name] = &before
	} else {
		d.chains[name] = nil
	}
}

// AddSet adds a set or a map that is not there, with its elements.
func (d *DeltaTracker) AddSet(name string, s Set) {
	if _, touched := d.sets[name]; !touched {
		d.sets[name] = &setBefore{}
	}
	if s.Elements == nil {
		s.Elements = map[string]Element{}
	}
	d.table.Sets[name] = s
}

// DeleteSet deletes a set or a map that is there.
func (d *DeltaTracker) DeleteSet(name string) {
	before := d.touchSet(name)
	if before.set != nil && before.left == nil {
		before.left = d.table.Sets[name].Elements
	}
	delete(d.table.Sets, name)
}

// SetElement adds an element to a set that is there, or replaces one.
func (d *DeltaTracker) SetElement(set, key string, e Element) {
	elements := d.table.Sets[set].Elements
	if now, ok := elements[key]; ok && now == e {
		return
	}
	d.touchElement(set, key)
	elements[key] = e
}

// DeleteElement deletes an element of a set that is there, if it has it.
func (d *DeltaTracker) DeleteElement(set, key string) {
	elements := d.table.Sets[set].Elements
	if _, ok := elements[key]; !ok {
		return
	}
	d.touchElement(set, key)
	delete(elements, key)
}

func (d *DeltaTracker) touchSet(name string) *setBefore {
	before, touched := d.sets[name]
	if !touched {
		s := d.table.Sets[name]
		s.Elements = nil
		before = &setBefore{set: &s, elements: map[string]*Element{}}
		d.sets[name] = before
	}
	return before
}

func (d *DeltaTracker) touchElement(set, key string) {
	before := d.touchSet(set)
	if before.set == nil || before.left != nil {
		return // it is compared as a whole
	}
	if _, touched := before.elements[key]; touched {
		return
	}
	if e, ok := d.table.Sets[set].Elements[key]; ok {
		before.elements[key] = &e
	} else {
		before.elements[key] = nil
	}
}

// touched returns both tables as far as they may differ.
func (d *DeltaTracker) touched() (old, wanted Table) {
	old, wanted = Table{Chains: map[string]Chain{}, Sets: map[string]Set{}}, Table{Chains: map[string]Chain{}, Sets: map[string]Set{}}
	for name, before := range d.chains {
		if before != nil {
			old.Chains[name] = *before
		}
		if now, ok := d.table.Chains[name]; ok {
			wanted.Chains[name] = now
		}
	}
	for name, before := range d.sets {
		now, there := d.table.Sets[name]
		if there && before.set != nil && before.left == nil {
			now.Elements = before.only(now.Elements)
		}
		if there {
			wanted.Sets[name] = now
		}
		if before.set != nil {
			was := *before.set
			was.Elements = before.were(there)
			old.Sets[name] = was
		}
	}
	return old, wanted
}

// only returns the touched ones of a set's elements.
func (b *setBefore) only(elements map[string]Element) map[string]Element {
	out := make(map[string]Element, len(b.elements))
	for key := range b.elements {
		if e, ok := elements[key]; ok {
			out[key] = e
		}
	}
	return out
}

// were returns the touched elements as they were, and with them those that were left when the set was
// deleted, if that matters: when it is there again.
func (b *setBefore) were(there bool) map[string]Element {
	out := map[string]Element{}
	if there {
		maps.Copy(out, b.left)
	}
	for key, e := range b.elements {
		if e != nil {
			out[key] = *e
		} else {
			delete(out, key)
		}
	}
	return out
}
