package ipset

import (
	"maps"
	"net/netip"
	"slices"
)

// Spec says what the members of a set are. They are of one family.
type Spec struct {
	Family Family
	// Selectors select the pods whose addresses are members. If they may overlap, Counted must be true; they may
	// be others later.
	Selectors []*Selector
	Counted   bool
	// Port has as members the addresses of pods that name a port so, each with the port's number. It excludes
	// selectors.
	Port *PortRef
}

// set is a set in use.
type set struct {
	name      string
	family    Family
	selectors map[string]*selected
	port      *PortRef
	// counts is how many of its selectors select an address, if they may be several.
	counts map[netip.Addr]int
}

// UpdateSet makes the set of this name hold what the spec says. Of a set that is there, only the selectors may be others.
func (x *Index) UpdateSet(name string, spec Spec) {
	u := x.sets[name]
	if u == nil {
		u = x.newSet(name, spec)
	}
	for _, s := range spec.Selectors {
		if u.selectors[s.Text] == nil {
			x.attach(u, s)
		}
	}
	if len(u.selectors) <= len(spec.Selectors) {
		return
	}
	wanted := make(map[string]bool, len(spec.Selectors))
	for _, s := range spec.Selectors {
		wanted[s.Text] = true
	}
	for text, from := range u.selectors {
		if !wanted[text] {
			for p := range from.members {
				u.remove(x.listener, x.owners.first(p, from.has))
			}
			x.detach(u, from)
		}
	}
}

func (x *Index) newSet(name string, spec Spec) *set {
	u := &set{name: name, family: spec.Family, selectors: map[string]*selected{}, port: spec.Port}
	if spec.Counted {
		u.counts = map[netip.Addr]int{}
	}
	x.sets[name] = u
	if u.port != nil {
		x.attachPort(u)
	}
	return u
}

// DeleteSet forgets a set.
func (x *Index) DeleteSet(name string) {
	u := x.sets[name]
	if u == nil {
		return
	}
	delete(x.sets, name)
	for _, from := range u.selectors {
		x.detach(u, from)
	}
	if u.port != nil {
		x.ports.detach(u)
	}
}

// Selectors returns the texts of a counted set's selectors, sorted.
func (x *Index) Selectors(name string) []string {
	u := x.sets[name]
	if u == nil || u.counts == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(u.selectors))
}

// add adds addresses that one more selector selects.
func (u *set) add(to Listener, addresses []Address) {
	for _, a := range addresses {
		if a.Family() != u.family {
			continue
		}
		if u.counts != nil {
			if u.counts[a.Addr]++; u.counts[a.Addr] > 1 {
				continue
			}
		}
		to.AddMember(u.name, Member{Address: a})
	}
}

// remove removes addresses unless another selector selects them too.
func (u *set) remove(to Listener, addresses []Address) {
	for _, a := range addresses {
		if a.Family() != u.family {
			continue
		}
		if u.counts != nil {
			if u.counts[a.Addr]--; u.counts[a.Addr] > 0 {
				continue
			}
			delete(u.counts, a.Addr)
		}
		to.RemoveMember(u.name, Member{Address: a})
	}
}
