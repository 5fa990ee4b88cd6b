package ipset

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"
)

// Selector selects pods. Selectors with the same text mean the same.
type Selector struct {
	Text string
	// Names are the names of the only namespaces that it can match; nil if it names none.
	Names []string
	// Namespaces selects them by their labels; nil if it does not.
	Namespaces labels.Selector
	Pods       labels.Selector
}

// in says whether the selector can match pods of a namespace.
func (s *Selector) in(n *namespace) bool {
	return (s.Names == nil || slices.Contains(s.Names, n.name)) && (s.Namespaces == nil || s.Namespaces.Matches(n.labels))
}

// selected is a selector that sets use, and whom it selects.
type selected struct {
	*Selector
	members map[*Pod]bool
	// sets are the sets that the members' addresses are in.
	sets []*set
}

// has says whether the selector selects a pod.
func (s *selected) has(p *Pod) bool { return s.members[p] }

// attach has a set hold the addresses of the pods that a selector selects.
func (x *Index) attach(u *set, s *Selector) {
	to := x.selectors[s.Text]
	if to == nil {
		to = &selected{Selector: s, members: map[*Pod]bool{}}
		x.selectors[s.Text] = to
		x.eachNamespace(s, func(in *namespace) {
			in.selectors[to] = true
			x.addNamespace(to, in)
		})
	}
	to.sets = append(to.sets, u)
	u.selectors[s.Text] = to
	for p := range to.members {
		u.add(x.listener, x.owners.first(p, to.has))
	}
}

// detach has the set hold them no longer. It takes nothing out of it.
func (x *Index) detach(u *set, from *selected) {
	from.sets = slices.DeleteFunc(from.sets, func(o *set) bool { return o == u })
	delete(u.selectors, from.Text)
	if len(from.sets) == 0 {
		delete(x.selectors, from.Text)
		x.eachNamespace(from.Selector, func(in *namespace) { delete(in.selectors, from) })
	}
}

// eachNamespace calls do for the namespaces that a selector may select pods of.
func (x *Index) eachNamespace(s *Selector, do func(*namespace)) {
	if s.Names != nil {
		for _, name := range s.Names {
			if in := x.namespaces[name]; in != nil && s.in(in) {
				do(in)
			}
		}
		return
	}
	for _, in := range x.namespaces {
		if s.in(in) {
			do(in)
		}
	}
}

// addNamespace adds the pods of a namespace that the selector selects.
func (x *Index) addNamespace(to *selected, in *namespace) {
	for p := range in.pods {
		if to.Pods.Matches(p.Labels) {
			to.members[p] = true
			to.addMembers(x.listener, x.owners.each(p, to.has))
		}
	}
}

// removeNamespace removes all pods of a namespace.
func (x *Index) removeNamespace(from *selected, in *namespace) {
	for p := range in.pods {
		if from.members[p] {
			from.removeMembers(x.listener, x.owners.each(p, from.has))
			delete(from.members, p)
		}
	}
}

// addMembers adds a pod's addresses to the sets.
func (s *selected) addMembers(to Listener, own []Address) {
	for _, u := range s.sets {
		u.add(to, own)
	}
}

// removeMembers removes them.
func (s *selected) removeMembers(to Listener, own []Address) {
	for _, u := range s.sets {
		u.remove(to, own)
	}
}
