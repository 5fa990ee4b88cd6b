package compile

import (
	"slices"

	"github.com/apptier/apptier/enforcer/nft"
)

// selected is a selector that rules of this node use, and whom it selects.
type selected struct {
	*selector
	members map[*Pod]bool
	// uses are the sets that the members' addresses are in.
	uses []*use
}

// has tells whether the selector selects a pod.
func (s *selected) has(p *Pod) bool { return s.members[p] }

// feed has a set hold the addresses of the pods that a selector selects.
func (c *Compiler) feed(u *use, s *selector) {
	to := c.selected[s.text]
	if to == nil {
		to = &selected{selector: s, members: map[*Pod]bool{}}
		c.selected[s.text] = to
		c.eachSpace(s, func(in *space) {
			in.selected[to] = true
			c.collect(to, in)
		})
	}
	to.uses = append(to.uses, u)
	u.selectors[s.text] = to
	for p := range to.members {
		u.add(c.journal, c.claims.first(p, to.has))
	}
}

// unfeed undoes it. The set may be gone already.
func (c *Compiler) unfeed(u *use, from *selected) {
	from.uses = slices.DeleteFunc(from.uses, func(o *use) bool { return o == u })
	delete(u.selectors, from.text)
	if u.refs > 0 {
		for p := range from.members {
			u.remove(c.journal, c.claims.first(p, from.has))
		}
	}
	if len(from.uses) == 0 {
		delete(c.selected, from.text)
		c.eachSpace(from.selector, func(in *space) { delete(in.selected, from) })
	}
}

// eachSpace calls do for the namespaces that a selector may select pods of.
func (c *Compiler) eachSpace(s *selector, do func(*space)) {
	if s.names != nil {
		for _, name := range s.names {
			if in := c.spaces[name]; in != nil && s.in(in) {
				do(in)
			}
		}
		return
	}
	for _, in := range c.spaces {
		if s.in(in) {
			do(in)
		}
	}
}

// collect adds the pods of a namespace that the selector selects.
func (c *Compiler) collect(to *selected, in *space) {
	for p := range in.pods {
		if to.pods.Matches(p.labels) {
			to.members[p] = true
			to.pour(c.journal, c.claims.each(p, to.has))
		}
	}
}

// discard removes all pods of a namespace.
func (c *Compiler) discard(from *selected, in *space) {
	for p := range in.pods {
		if from.members[p] {
			from.drain(c.journal, c.claims.each(p, from.has))
			delete(from.members, p)
		}
	}
}

// pour adds a member's addresses to the sets.
func (s *selected) pour(j *nft.Journal, own []address) {
	for _, u := range s.uses {
		u.add(j, own)
	}
}

// drain removes them.
func (s *selected) drain(j *nft.Journal, own []address) {
	for _, u := range s.uses {
		u.remove(j, own)
	}
}
