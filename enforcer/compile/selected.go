package compile

import (
	"slices"

	"github.com/apptier/apptier/enforcer/nft"
)

// selected is a selector that rules of this node use, and whom it selects.
type selected struct {
	*selector
	members map[*Pod]bool
	// sets are the sets that the members' addresses are in.
	sets []*setRef
}

// has tells whether the selector selects a pod.
func (s *selected) has(p *Pod) bool { return s.members[p] }

// attach has a set hold the addresses of the pods that a selector selects.
func (c *Compiler) attach(u *setRef, s *selector) {
	to := c.selected[s.text]
	if to == nil {
		to = &selected{selector: s, members: map[*Pod]bool{}}
		c.selected[s.text] = to
		c.eachNamespace(s, func(in *namespace) {
			in.selected[to] = true
			c.collect(to, in)
		})
	}
	to.sets = append(to.sets, u)
	u.selectors[s.text] = to
	for p := range to.members {
		u.add(c.journal, c.owners.first(p, to.has))
	}
}

// detach undoes it. The set may be gone already.
func (c *Compiler) detach(u *setRef, from *selected) {
	from.sets = slices.DeleteFunc(from.sets, func(o *setRef) bool { return o == u })
	delete(u.selectors, from.text)
	if u.refs > 0 {
		for p := range from.members {
			u.remove(c.journal, c.owners.first(p, from.has))
		}
	}
	if len(from.sets) == 0 {
		delete(c.selected, from.text)
		c.eachNamespace(from.selector, func(in *namespace) { delete(in.selected, from) })
	}
}

// eachNamespace calls do for the namespaces that a selector may select pods of.
func (c *Compiler) eachNamespace(s *selector, do func(*namespace)) {
	if s.names != nil {
		for _, name := range s.names {
			if in := c.namespaces[name]; in != nil && s.in(in) {
				do(in)
			}
		}
		return
	}
	for _, in := range c.namespaces {
		if s.in(in) {
			do(in)
		}
	}
}

// collect adds the pods of a namespace that the selector selects.
func (c *Compiler) collect(to *selected, in *namespace) {
	for p := range in.pods {
		if to.pods.Matches(p.labels) {
			to.members[p] = true
			to.addMembers(c.journal, c.owners.each(p, to.has))
		}
	}
}

// discard removes all pods of a namespace.
func (c *Compiler) discard(from *selected, in *namespace) {
	for p := range in.pods {
		if from.members[p] {
			from.removeMembers(c.journal, c.owners.each(p, from.has))
			delete(from.members, p)
		}
	}
}

// addMembers adds a member's addresses to the sets.
func (s *selected) addMembers(j *nft.Journal, own []address) {
	for _, u := range s.sets {
		u.add(j, own)
	}
}

// removeMembers removes them.
func (s *selected) removeMembers(j *nft.Journal, own []address) {
	for _, u := range s.sets {
		u.remove(j, own)
	}
}
