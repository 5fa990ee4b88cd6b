package compile

import (
	"maps"
	"slices"
	"strconv"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/enforcer/nft"
)

// chains writes the chains of groups, and those that they share.
type chains struct {
	tracker *nft.DeltaTracker
	sets    sets
	// refs is how many groups lead to a chain, by its name.
	refs map[string]int
	// pages are chains that another group may lead to as well.
	pages      writtenPages
	buffers    buffers
	mergeAbove int
}

// written is what is in the table for a group.
type written struct {
	families []family // those that the chain was written for
	sets     []string // that it looks up
	chains   []string // that it leads to by port, and the maps that it does with
	maps     []string
}

// write writes the chain of a group whose pods have addresses of these families; plain says that it looks its
// peers up one by one. It returns what it copies, or would, to look them up together.
func (c *chains) write(g *group, of []family, plain bool) merging {
	d := chainBuilder{group: g, families: of, mergeAbove: c.mergeAbove, written: &c.pages, buffers: &c.buffers}
	d.write()
	merging := d.merging
	if plain {
		d = chainBuilder{group: g, families: of, mergeAbove: oneByOne, written: &c.pages, buffers: &c.buffers}
		d.write()
	}
	for _, spec := range d.specs {
		c.sets.acquire(spec)
	}
	for name, chain := range d.chains {
		if c.refs[name]++; c.refs[name] == 1 {
			c.tracker.SetChain(name, chain)
		}
	}
	for name, set := range d.maps {
		c.setMap(name, set)
	}
	c.tracker.SetChain(g.chain, nft.Chain{Comment: remark(g.remark()), Rules: d.rules})
	c.release(g.written, d.maps)
	g.written = written{of, slices.Collect(maps.Keys(d.specs)), slices.Collect(maps.Keys(d.chains)), slices.Collect(maps.Keys(d.maps))}
	return merging
}

// delete deletes the chain of a group.
func (c *chains) delete(g *group) {
	c.tracker.DeleteChain(g.chain)
	c.release(g.written, nil)
}

// release lets go what a group's chain led to and looked up, but for the maps that stay.
func (c *chains) release(w written, maps map[string]nft.Set) {
	for _, name := range w.chains {
		if c.refs[name]--; c.refs[name] == 0 {
			delete(c.refs, name)
			c.pages.forget(name)
			c.tracker.DeleteChain(name)
		}
	}
	for _, name := range w.maps {
		if _, stays := maps[name]; !stays {
			c.tracker.DeleteSet(name)
		}
	}
	for _, name := range w.sets {
		c.sets.release(name)
	}
}

// setMap makes a map that is the group's own what it is to be.
func (c *chains) setMap(name string, wanted nft.Set) {
	now, there := c.tracker.Table().Sets[name]
	if !there {
		c.tracker.AddSet(name, wanted)
		return
	}
	for key := range now.Elements {
		if _, stays := wanted.Elements[key]; !stays {
			c.tracker.DeleteElement(name, key)
		}
	}
	for key, e := range wanted.Elements {
		c.tracker.SetElement(name, key, e)
	}
}

// setSpec is a set that a rule looks up: its name, and what is to be in it.
type setSpec struct {
	name string
	// set is its definition, without elements.
	set nft.Set
	// Spec says which elements come and go with pods; none do if it is the zero value.
	ipset.Spec
	// keys are its elements, if they are part of its name and so never change.
	keys []string
	// verdicts are those of a map, in place of keys.
	verdicts []piece
}

// sets are those that chains look up.
type sets struct {
	tracker *nft.DeltaTracker
	index   *ipset.Index
	refs    map[string]int // how many chains do, by the set's name
}

// acquire makes sure that the set is there, and stays.
func (s *sets) acquire(d *setSpec) {
	refs := s.refs[d.name] + 1
	if s.refs[d.name] = refs; refs == 1 {
		s.create(d)
	}
	if d.Port != nil || len(d.Selectors) > 0 {
		s.index.UpdateSet(d.name, d.Spec)
	}
}

func (s *sets) create(d *setSpec) {
	set := d.set
	set.Elements = make(map[string]nft.Element, len(d.keys)+len(d.verdicts))
	for _, key := range d.keys {
		set.Elements[key] = nft.Element{}
	}
	for _, p := range d.verdicts {
		set.Elements[p.String()] = nft.Element{Value: p.verdict}
	}
	s.tracker.AddSet(d.name, set)
}

// release lets the set go when no chain looks it up any more.
func (s *sets) release(name string) {
	refs := s.refs[name] - 1
	if s.refs[name] = refs; refs > 0 {
		return
	}
	delete(s.refs, name)
	s.tracker.DeleteSet(name)
	s.index.DeleteSet(name)
}

// members are the elements of sets that come and go with pods.
type members struct{ tracker *nft.DeltaTracker }

// AddMember is ipset.Listener's.
func (m members) AddMember(set string, one ipset.Member) {
	m.tracker.SetElement(set, elementOf(one), nft.Element{})
}

// RemoveMember is ipset.Listener's.
func (m members) RemoveMember(set string, one ipset.Member) {
	m.tracker.DeleteElement(set, elementOf(one))
}

func elementOf(m ipset.Member) string {
	if !m.WithPort {
		return m.String()
	}
	return nft.Key(m.String(), strconv.Itoa(int(m.Port)))
}
