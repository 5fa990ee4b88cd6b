package compile

import (
	"net/netip"
	"slices"
)

// ownership tells whose an address is. An address has one holder, as a rule: the pod that claims it, which
// is to say that has it in its status. Several pods may claim one, because an address was given away
// again before the news of the first pod's end came, or because somebody wrote what is not so. Then:
//
//   - Where a pod of this node claims it, those of other nodes do not count: this node's network is what
//     gives its pods their addresses, and nobody elsewhere can know better.
//   - Among pods of this node, those that the container runtime has announced with it count alone.
//   - All that are left hold the address, and nothing is allowed that one of them alone would be: it is
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

// contest is the pods that claim an address, and those of them that hold it; both by name.
type contest struct{ claimants, holders []*Pod }

func newOwnership() ownership {
	return ownership{sole: map[netip.Addr]*Pod{}, contested: map[netip.Addr]contest{}}
}

func (c ownership) add(p *Pod) {
	for _, a := range p.addresses {
		one, contested := c.sole[a.Addr], c.contested[a.Addr]
		switch {
		case one != nil:
			delete(c.sole, a.Addr)
			c.contested[a.Addr] = newContest([]*Pod{one, p})
		case len(contested.claimants) > 0:
			c.contested[a.Addr] = newContest(append(slices.Clone(contested.claimants), p))
		default:
			c.sole[a.Addr] = p
		}
	}
}

func (c ownership) remove(p *Pod) {
	for _, a := range p.addresses {
		contested, ok := c.contested[a.Addr]
		if !ok {
			delete(c.sole, a.Addr)
			continue
		}
		left := slices.DeleteFunc(slices.Clone(contested.claimants), func(o *Pod) bool { return o == p })
		if len(left) == 1 {
			delete(c.contested, a.Addr)
			c.sole[a.Addr] = left[0]
		} else {
			c.contested[a.Addr] = newContest(left)
		}
	}
}

func newContest(claimants []*Pod) contest {
	slices.SortFunc(claimants, byName)
	holders := claimants
	for _, counts := range []func(*Pod) bool{(*Pod).isLocal, (*Pod).isAnnounced} {
		if some := only(holders, counts); len(some) > 0 && some[0].local {
			holders = some
		}
	}
	return contest{claimants, holders}
}

func only(pods []*Pod, counts func(*Pod) bool) []*Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p *Pod) bool { return !counts(p) })
}

func (p *Pod) isLocal() bool     { return p.local }
func (p *Pod) isAnnounced() bool { return p.announced }

// rivals adds the pods that claim an address of p too.
func (c ownership) rivals(into map[*Pod]bool, p *Pod) {
	for _, a := range p.addresses {
		if one := c.sole[a.Addr]; one != nil && one != p {
			into[one] = true
		}
		for _, o := range c.contested[a.Addr].claimants {
			if o != p {
				into[o] = true
			}
		}
	}
}

// holders returns the pods that hold an address, by name; there are none if none claims it.
func (c ownership) holders(a netip.Addr) []*Pod {
	if contested, ok := c.contested[a]; ok {
		return contested.holders
	}
	if p := c.sole[a]; p != nil {
		return []*Pod{p}
	}
	return nil
}

// together returns the pods that hold an address, if they are several.
func (c ownership) together(a netip.Addr) []*Pod {
	if len(c.contested) == 0 {
		return nil
	}
	if holders := c.contested[a].holders; len(holders) > 1 {
		return holders
	}
	return nil
}

// of returns the addresses that a pod holds, alone or not.
func (c ownership) of(p *Pod) []address {
	return c.where(p, func(holders []*Pod) bool { return slices.Contains(holders, p) })
}

// each returns the addresses that a pod holds, if all others that hold them are so too.
func (c ownership) each(p *Pod, so func(*Pod) bool) []address {
	return c.where(p, func(holders []*Pod) bool {
		return slices.Contains(holders, p) && !slices.ContainsFunc(holders, func(o *Pod) bool { return o != p && !so(o) })
	})
}

// first returns the addresses of a pod whose holders are all so, and of which it is the first by name.
func (c ownership) first(p *Pod, so func(*Pod) bool) []address {
	return c.where(p, func(holders []*Pod) bool {
		return holders[0] == p && !slices.ContainsFunc(holders, func(o *Pod) bool { return !so(o) })
	})
}

// where returns those of a pod's addresses that it alone claims, or whose holders are as asked for.
func (c ownership) where(p *Pod, ok func(holders []*Pod) bool) []address {
	lost := func(a address) bool {
		contested, several := c.contested[a.Addr]
		return several && !ok(contested.holders)
	}
	if len(c.contested) == 0 || !slices.ContainsFunc(p.addresses, lost) {
		return p.addresses
	}
	return slices.DeleteFunc(slices.Clone(p.addresses), lost)
}
