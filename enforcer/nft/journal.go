package nft

import "maps"

// Journal is a table that changes in place, and what it was where it has changed since it was last
// committed. So the steps to the changed table cost what has changed, not what there is.
type Journal struct {
	table Table
	// chains and sets are those that were touched, as they were: nil if they were not there.
	chains map[string]*Chain
	sets   map[string]*setBefore
}

// setBefore is what a set was.
type setBefore struct {
	// set is its definition; nil if it was not there.
	set *Set
	// elements are those that were touched, as they were: nil if they were not there.
	elements map[string]*Element
	// left are the elements that it had when it was deleted; nil if it never was.
	left map[string]Element
}

// NewJournal returns a journal of a table, which from then on is the journal's alone.
func NewJournal(t Table) *Journal {
	j := &Journal{table: t}
	j.Commit()
	return j
}

// Table returns the table as it is now. It must not be modified, and changes with the journal.
func (j *Journal) Table() Table { return j.table }

// Commit forgets what the table was: what it is now is in the kernel.
func (j *Journal) Commit() {
	j.chains, j.sets = map[string]*Chain{}, map[string]*setBefore{}
}

// Steps returns what turns the table as it was committed into the one of now: the same as Diff.
func (j *Journal) Steps() []Op {
	old, wanted := j.touched()
	if !inPlace(old, wanted) {
		return Replace(j.table)
	}
	return Diff(old, wanted)
}

// SetChain adds a chain or replaces one.
func (j *Journal) SetChain(name string, c Chain) {
	j.touchChain(name)
	j.table.Chains[name] = c
}

// DeleteChain deletes a chain.
func (j *Journal) DeleteChain(name string) {
	j.touchChain(name)
	delete(j.table.Chains, name)
}

func (j *Journal) touchChain(name string) {
	if _, touched := j.chains[name]; touched {
		return
	}
	if before, ok := j.table.Chains[name]; ok {
		j.chains[name] = &before
	} else {
		j.chains[name] = nil
	}
}

// AddSet adds a set or a map that is not there, with its elements.
func (j *Journal) AddSet(name string, s Set) {
	if _, touched := j.sets[name]; !touched {
		j.sets[name] = &setBefore{}
	}
	if s.Elements == nil {
		s.Elements = map[string]Element{}
	}
	j.table.Sets[name] = s
}

// DeleteSet deletes a set or a map that is there.
func (j *Journal) DeleteSet(name string) {
	before := j.touchSet(name)
	if before.set != nil && before.left == nil {
		before.left = j.table.Sets[name].Elements
	}
	delete(j.table.Sets, name)
}

// SetElement adds an element to a set that is there, or replaces one.
func (j *Journal) SetElement(set, key string, e Element) {
	elements := j.table.Sets[set].Elements
	if now, ok := elements[key]; ok && now == e {
		return
	}
	j.touchElement(set, key)
	elements[key] = e
}

// DeleteElement deletes an element of a set that is there, if it has it.
func (j *Journal) DeleteElement(set, key string) {
	elements := j.table.Sets[set].Elements
	if _, ok := elements[key]; !ok {
		return
	}
	j.touchElement(set, key)
	delete(elements, key)
}

func (j *Journal) touchSet(name string) *setBefore {
	before, touched := j.sets[name]
	if !touched {
		s := j.table.Sets[name]
		s.Elements = nil
		before = &setBefore{set: &s, elements: map[string]*Element{}}
		j.sets[name] = before
	}
	return before
}

func (j *Journal) touchElement(set, key string) {
	before := j.touchSet(set)
	if before.set == nil || before.left != nil {
		return // it is compared as a whole
	}
	if _, touched := before.elements[key]; touched {
		return
	}
	if e, ok := j.table.Sets[set].Elements[key]; ok {
		before.elements[key] = &e
	} else {
		before.elements[key] = nil
	}
}

// touched returns both tables as far as they may differ.
func (j *Journal) touched() (old, wanted Table) {
	old, wanted = Table{Chains: map[string]Chain{}, Sets: map[string]Set{}}, Table{Chains: map[string]Chain{}, Sets: map[string]Set{}}
	for name, before := range j.chains {
		if before != nil {
			old.Chains[name] = *before
		}
		if now, ok := j.table.Chains[name]; ok {
			wanted.Chains[name] = now
		}
	}
	for name, before := range j.sets {
		now, there := j.table.Sets[name]
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
