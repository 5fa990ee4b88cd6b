package wiring

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/apptier/apptier/enforcer/bind"
)

// attached returns the addresses that were given to pods of this node and that the kernel shows attached to
// it: a port of a bridge is bound to them, or they are routed into another namespace. It may be that no object
// tells of the pod any more. What a pod has given itself is not among them.
func (n *Node) attached(pods []bind.Pod) ([]netip.Addr, error) {
	given := map[netip.Addr]bool{}
	for _, p := range pods {
		for _, a := range p.Addresses {
			given[a] = true
		}
	}
	// Of those that are given now it does not matter, and need not be asked for.
	still := map[netip.Addr]bool{}
	for a := range n.given {
		if given[a] {
			continue
		}
		l, leads, err := n.Links.Toward(a)
		if err != nil {
			return nil, err
		}
		if leads && l.Leads() {
			still[a] = true
		}
	}
	out := slices.Collect(maps.Keys(still))
	for _, b := range n.bound {
		for _, a := range b.Addresses {
			if !given[a] && !a.IsLinkLocalUnicast() {
				out = append(out, a)
			}
		}
	}
	for a := range given {
		still[a] = true
	}
	n.given = still
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out), nil
}
