package compile

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/apptier/apptier/enforcer/ipset"
	"github.com/apptier/apptier/enforcer/nft"
)

// dispatcher sends the packets of an isolated pod to its groups' chains, and lets any pod talk to itself.
type dispatcher struct {
	tracker *nft.DeltaTracker
	index   *ipset.Index
	locals  *locals
	groups  *groups
	// joints are the groups of addresses that several pods of this node own.
	joints map[netip.Addr][]*group
}

// regroup moves a pod to the groups of the policies that isolate it now.
func (d *dispatcher) regroup(p *ipset.Pod) {
	l := d.locals.pods[p]
	d.remove(p)
	for _, direction := range allDirections {
		was, is := l.groups[direction], d.groups.under(direction, l.policies(direction), nil)
		if was != nil && was != is {
			d.groups.takeOut(p, was)
			delete(l.groups, direction)
		}
		if is != nil {
			is.pods[p] = true
			l.groups[direction] = is
		}
	}
	d.add(p)
}

// add dispatches the packets of the addresses that a pod of this node owns.
func (d *dispatcher) add(p *ipset.Pod) {
	l := d.locals.pods[p]
	if l == nil {
		return
	}
	own := d.index.Owned(p)
	for direction, g := range l.groups {
		d.groups.stale[g] = true // it may have other families now
		for _, a := range own {
			if len(d.index.Together(a.Addr)) == 0 {
				d.tracker.SetElement(dispatchMap[direction][a.Family()], a.String(), nft.Element{Value: "goto " + g.chain, Comment: remark(p.String())})
			}
		}
	}
	for _, a := range own {
		if owners := d.index.Together(a.Addr); len(owners) > 0 {
			d.addTogether(a, owners)
		}
	}
	d.eachPair(own, func(set, key string) { d.tracker.SetElement(set, key, nft.Element{}) })
}

// remove undoes add, before the pod owns other addresses or is in other groups.
func (d *dispatcher) remove(p *ipset.Pod) {
	l := d.locals.pods[p]
	if l == nil {
		return
	}
	own := d.index.Owned(p)
	for direction, g := range l.groups {
		d.groups.stale[g] = true
		for _, a := range own {
			d.tracker.DeleteElement(dispatchMap[direction][a.Family()], a.String())
		}
	}
	for _, a := range own {
		d.removeJoints(a.Addr)
	}
	d.eachPair(own, func(set, key string) { d.tracker.DeleteElement(set, key) })
}

// addTogether sends the packets of an address that several pods own through the chains of all isolated ones, one after
// another.
func (d *dispatcher) addTogether(a ipset.Address, owners []*ipset.Pod) {
	d.removeJoints(a.Addr)
	for _, direction := range allDirections {
		var isolating []*group
		for _, p := range owners {
			if g := d.locals.pods[p].groups[direction]; g != nil && !slices.Contains(isolating, g) {
				isolating = append(isolating, g)
			}
		}
		set := dispatchMap[direction][a.Family()]
		if len(isolating) == 0 {
			d.tracker.DeleteElement(set, a.String())
			continue
		}
		d.tracker.SetElement(set, a.String(), nft.Element{Value: "goto " + d.joint(a, isolating).chain, Comment: remark(listed(owners))})
	}
}

// joint returns the group of an address that the policies of several pods isolate.
func (d *dispatcher) joint(a ipset.Address, groups []*group) *group {
	if len(groups) == 1 {
		return groups[0]
	}
	g := d.groups.under(groups[0].direction, groups[0].policies, d.joint(a, groups[1:]))
	g.addresses[a.Addr] = true
	d.joints[a.Addr] = append(d.joints[a.Addr], g)
	return g
}

// removeJoints removes an address from the joint groups.
func (d *dispatcher) removeJoints(a netip.Addr) {
	for _, g := range d.joints[a] {
		delete(g.addresses, a)
		d.groups.stale[g] = true
	}
	delete(d.joints, a)
}

// eachPair calls do for every two addresses of one family that are the same pod's, and for each with itself.
func (d *dispatcher) eachPair(own []ipset.Address, do func(set, key string)) {
	for _, a := range own {
		for _, b := range own {
			if a.Family() == b.Family() && slices.Equal(d.index.Together(a.Addr), d.index.Together(b.Addr)) {
				do(selfSet[a.Family()], nft.Key(a.String(), b.String()))
			}
		}
	}
}

// listed names pods for messages.
func listed(pods []*ipset.Pod) string {
	names := make([]string, 0, len(pods))
	for _, p := range pods {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}
