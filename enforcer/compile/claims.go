package compile

import (
	"cmp"
	"net/netip"
	"slices"
)

// claims tells whose an address is: if several pods claim it, that of the youngest, or the last by
// name. Addresses are reused as soon as a pod is gone, and the news of that may come late.
type claims struct {
	owner map[netip.Addr]*Pod
	// others claim it too.
	others map[netip.Addr][]*Pod
}

func newClaims() claims {
	return claims{owner: map[netip.Addr]*Pod{}, others: map[netip.Addr][]*Pod{}}
}

// before tells whether a gives way to b.
func before(a, b *Pod) bool { return cmp.Or(cmp.Compare(a.created, b.created), byName(a, b)) < 0 }

func (c claims) add(p *Pod) {
	for _, a := range p.addresses {
		switch owner := c.owner[a.Addr]; {
		case owner == nil:
			c.owner[a.Addr] = p
		case before(owner, p):
			c.owner[a.Addr] = p
			c.others[a.Addr] = append(c.others[a.Addr], owner)
		default:
			c.others[a.Addr] = append(c.others[a.Addr], p)
		}
	}
}

func (c claims) remove(p *Pod) {
	for _, a := range p.addresses {
		others := c.others[a.Addr]
		switch {
		case c.owner[a.Addr] != p:
			others = slices.DeleteFunc(others, func(o *Pod) bool { return o == p })
		case len(others) == 0:
			delete(c.owner, a.Addr)
		default:
			next := slices.MaxFunc(others, func(a, b *Pod) int {
				if before(a, b) {
					return -1
				}
				return 1
			})
			c.owner[a.Addr] = next
			others = slices.DeleteFunc(others, func(o *Pod) bool { return o == next })
		}
		if len(others) == 0 {
			delete(c.others, a.Addr)
		} else {
			c.others[a.Addr] = others
		}
	}
}

// rivals adds the pods that claim an address of p too.
func (c claims) rivals(into map[*Pod]bool, p *Pod) {
	for _, a := range p.addresses {
		if owner := c.owner[a.Addr]; owner != nil && owner != p {
			into[owner] = true
		}
		for _, o := range c.others[a.Addr] {
			if o != p {
				into[o] = true
			}
		}
	}
}

// of returns the addresses that are a pod's.
func (c claims) of(p *Pod) []address {
	lost := func(a address) bool { return c.owner[a.Addr] != p }
	if !slices.ContainsFunc(p.addresses, lost) {
		return p.addresses
	}
	return slices.DeleteFunc(slices.Clone(p.addresses), lost)
}
