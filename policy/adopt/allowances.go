package adopt

import (
	"maps"
	"slices"
)

// allowance is a peer, and the ports that connections with it may have.
type allowance struct {
	peer  peer
	ports ports
}

// allowances are what rules of one direction allow, each peer once.
type allowances map[string]allowance

func (a allowances) add(p peer, on ports) {
	if on.isEmpty() {
		return
	}
	a[p.key] = allowance{p, a[p.key].ports.union(on)}
}

// remove takes ports away from what is allowed with just this peer.
func (a allowances) remove(p peer, on ports) {
	has, found := a[p.key]
	if !found {
		return
	}
	if has.ports = has.ports.minus(on); has.ports.isEmpty() {
		delete(a, p.key)
		return
	}
	a[p.key] = has
}

// covering are the ports of which one that is allowed holds for the whole of a peer.
func (a allowances) covering(p peer) ports {
	var out ports
	for _, one := range a {
		if one.peer.contains(p) {
			out = out.union(one.ports)
		}
	}
	return out
}

// sorted are the allowances in an order that depends on what they are alone.
func (a allowances) sorted() []allowance {
	out := make([]allowance, 0, len(a))
	for _, key := range slices.Sorted(maps.Keys(a)) {
		out = append(out, a[key])
	}
	return out
}

func (a allowances) with(b allowances) allowances {
	out := maps.Clone(a)
	if out == nil {
		out = allowances{}
	}
	for _, one := range b {
		out.add(one.peer, one.ports)
	}
	return out
}

// withoutUseless drops what another of the allowances allows on the same ports.
func (a allowances) withoutUseless() allowances {
	out := maps.Clone(a)
	for _, one := range a.sorted() {
		for _, other := range a.sorted() {
			if other.peer.key != one.peer.key && out[other.peer.key].ports.contains(one.ports) && !out[other.peer.key].ports.isEmpty() &&
				other.peer.contains(one.peer) {
				delete(out, one.peer.key)
			}
		}
	}
	return out
}
