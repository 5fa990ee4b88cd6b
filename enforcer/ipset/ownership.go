package ipset

import (
	"net/netip"
	"slices"
)

// ownership knows which pod owns an address. Usually an address has one owner: the pod that claims it, that
// is, that has it in its status. Several pods may claim one, because an address was assigned again before
// the end of the first pod was known, or because a status is wrong. Then:
//
//   - If a pod of this node claims it, claims of pods on other nodes do not count: this node's network
//     assigns its pods' addresses, and other nodes cannot know better.
//   - Among pods of this node, only those count that the container runtime has announced with it.
//   - All that are left own the address, and nothing is allowed that one of them alone would be: it is
//     isolated if one of them is, a packet must satisfy the policies of each that is isolated, and it is a
//     selector's peer, or has a named port, if all of them are and have.
//
// So a claim takes from an address what it was allowed, and gives nothing to it.
type ownership struct {
	// sole are the pods whose claim is the only one.
	sole map[netip.Addr]*Pod
	// contested are the addresses that several claim.
	contested map[netip.Addr]contest
}

// contest is the pods that claim an address, and those of them that own it; both by name.
type contest struct{ claimants, owners []*Pod }

func (w ownership) add(p *Pod) {
	for _, a := range p.Addresses {
		one, contested := w.sole[a.Addr], w.contested[a.Addr]
		switch {
		case one != nil:
			delete(w.sole, a.Addr)
			w.contested[a.Addr] = newContest([]*Pod{one, p})
		case len(contested.claimants) > 0:
			w.contested[a.Addr] = newContest(append(slices.Clone(contested.claimants), p))
		default:
			w.sole[a.Addr] = p
		}
	}
}

func (w ownership) remove(p *Pod) {
	for _, a := range p.Addresses {
		contested, ok := w.contested[a.Addr]
		if !ok {
			delete(w.sole, a.Addr)
			continue
		}
		left := slices.DeleteFunc(slices.Clone(contested.claimants), func(o *Pod) bool { return o == p })
		if len(left) == 1 {
			delete(w.contested, a.Addr)
			w.sole[a.Addr] = left[0]
		} else {
			w.contested[a.Addr] = newContest(left)
		}
	}
}

func newContest(claimants []*Pod) contest {
	slices.SortFunc(claimants, byName)
	owners := claimants
	for _, counts := range []func(*Pod) bool{(*Pod).isLocal, (*Pod).isAnnounced} {
		if some := only(owners, counts); len(some) > 0 && some[0].Local {
			owners = some
		}
	}
	return contest{claimants, owners}
}

func only(pods []*Pod, counts func(*Pod) bool) []*Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p *Pod) bool { return !counts(p) })
}

func (p *Pod) isLocal() bool     { return p.Local }
func (p *Pod) isAnnounced() bool { return p.Announced }

// rivals adds the pods that claim an address of p too. It makes the map if there are any.
func (w ownership) rivals(to map[*Pod]bool, p *Pod) map[*Pod]bool {
	for _, a := range p.Addresses {
		claimants := w.contested[a.Addr].claimants
		if one := w.sole[a.Addr]; one != nil {
			claimants = []*Pod{one}
		}
		for _, o := range claimants {
			if o != p && to == nil {
				to = map[*Pod]bool{}
			}
			if o != p {
				to[o] = true
			}
		}
	}
	return to
}

// owners returns the pods that own an address, by name; there are none if none claims it.
func (w ownership) owners(a netip.Addr) []*Pod {
	if contested, ok := w.contested[a]; ok {
		return contested.owners
	}
	if p := w.sole[a]; p != nil {
		return []*Pod{p}
	}
	return nil
}

// together returns the pods that own an address, if they are several.
func (w ownership) together(a netip.Addr) []*Pod {
	if len(w.contested) == 0 {
		return nil
	}
	if owners := w.contested[a].owners; len(owners) > 1 {
		return owners
	}
	return nil
}

// of returns the addresses that a pod owns, alone or not.
func (w ownership) of(p *Pod) []Address {
	return w.where(p, func(owners []*Pod) bool { return slices.Contains(owners, p) })
}

// each returns the addresses that a pod owns, if all others that own them are so too.
func (w ownership) each(p *Pod, so func(*Pod) bool) []Address {
	return w.where(p, func(owners []*Pod) bool {
		return slices.Contains(owners, p) && !slices.ContainsFunc(owners, func(o *Pod) bool { return o != p && !so(o) })
	})
}

// first returns the addresses of a pod whose owners are all so, and of which it is the first by name.
func (w ownership) first(p *Pod, so func(*Pod) bool) []Address {
	return w.where(p, func(owners []*Pod) bool {
		return owners[0] == p && !slices.ContainsFunc(owners, func(o *Pod) bool { return !so(o) })
	})
}

// where returns those of a pod's addresses that it alone claims, or whose owners are as asked for.
func (w ownership) where(p *Pod, ok func(owners []*Pod) bool) []Address {
	lost := func(a Address) bool {
		contested, several := w.contested[a.Addr]
		return several && !ok(contested.owners)
	}
	if len(w.contested) == 0 || !slices.ContainsFunc(p.Addresses, lost) {
		return p.Addresses
	}
	return slices.DeleteFunc(slices.Clone(p.Addresses), lost)
}
