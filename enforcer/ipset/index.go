package ipset

import (
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Member is an element of a set: an address, or an address and a port.
type Member struct {
	Address
	Port     int32
	WithPort bool
}

// Listener holds the sets. To add a member that is there already, or to remove one that is not, must do nothing.
// Of a set that is deleted, no member is removed.
type Listener interface {
	AddMember(set string, m Member)
	RemoveMember(set string, m Member)
}

// Index knows pods and namespaces, and which of them the sets in use mean. It is not safe for concurrent use.
type Index struct {
	listener   Listener
	pods       map[types.NamespacedName]*Pod
	owners     ownership
	namespaces map[string]*namespace
	// selectors are the selectors that sets use, by their text.
	selectors map[string]*selected
	sets      map[string]*set
	ports     namedPorts
	counts    counts
}

// New returns an index of nothing yet.
func New(to Listener) *Index {
	return &Index{
		listener: to, pods: map[types.NamespacedName]*Pod{}, namespaces: map[string]*namespace{},
		owners:    ownership{map[netip.Addr]*Pod{}, map[netip.Addr]contest{}},
		selectors: map[string]*selected{}, sets: map[string]*set{},
		ports:  namedPorts{map[NamedPort]map[*Pod]bool{}, map[NamedPort][]*set{}},
		counts: counts{selectors: map[*Count]bool{}, names: map[PortRef]int{}, ports: map[PortRef]*Count{}},
	}
}

// Change is a pod that comes, changes or goes.
type Change struct {
	key types.NamespacedName
	// Old and New are the pod before and after; nil if there is none.
	Old, New *Pod
	// Rivals are the other pods that claim one of their addresses, and so may own others afterwards; nil if
	// there are none.
	Rivals map[*Pod]bool
}

// Compare returns what it would change if the pod of this name were p, which may be nil; false if nothing.
func (x *Index) Compare(key types.NamespacedName, p *Pod) (Change, bool) {
	change := Change{key: key, Old: x.pods[key], New: p}
	if change.Old.Equal(p) {
		return change, false
	}
	for _, one := range []*Pod{change.Old, p} {
		if one != nil {
			change.Rivals = x.owners.rivals(change.Rivals, one)
		}
	}
	delete(change.Rivals, change.Old)
	return change, true
}

// Apply takes one pod out of all sets, and another of its name into them.
func (x *Index) Apply(change Change) {
	for r := range change.Rivals {
		x.displace(r)
	}
	if old := change.Old; old != nil {
		x.displace(old)
		x.owners.remove(old)
		delete(x.pods, change.key)
		x.ports.remove(old)
		delete(x.namespaces[old.Namespace].pods, old)
		x.countPod(old, -1)
	}
	if p := change.New; p != nil {
		x.owners.add(p)
		x.pods[change.key] = p
		x.ports.add(p)
		x.namespaceOf(p.Namespace).pods[p] = true
		x.countPod(p, 1)
		x.place(p)
	}
	for r := range change.Rivals {
		x.place(r)
	}
	x.collectGarbage(change.key.Namespace)
}

// place adds the pod's addresses and ports to the sets that it belongs to. An address that it owns with
// others belongs where all of them do: the last of them puts it there.
func (x *Index) place(p *Pod) {
	for selected := range x.namespaces[p.Namespace].selectors {
		if selected.Pods.Matches(p.Labels) {
			selected.members[p] = true
			selected.addMembers(x.listener, x.owners.each(p, selected.has))
		}
	}
	for _, port := range p.Ports {
		for _, u := range x.ports.sets[port.NamedPort] {
			u.addPort(x.listener, p, port.Number, x.owners.each(p, port.isOf))
		}
	}
}

// displace removes them again. The first owner of an address removes it from everything.
func (x *Index) displace(p *Pod) {
	for selected := range x.namespaces[p.Namespace].selectors {
		if selected.members[p] {
			selected.removeMembers(x.listener, x.owners.each(p, selected.has))
			delete(selected.members, p)
		}
	}
	for _, port := range p.Ports {
		for _, u := range x.ports.sets[port.NamedPort] {
			u.removePort(x.listener, port.Number, x.owners.of(p))
		}
	}
}

// Owned returns the addresses that a pod owns, alone or not.
func (x *Index) Owned(p *Pod) []Address { return x.owners.of(p) }

// Owners returns the pods that own an address, by name; there are none if none claims it.
func (x *Index) Owners(a netip.Addr) []*Pod { return x.owners.owners(a) }

// Together returns the pods that own an address, if they are several.
func (x *Index) Together(a netip.Addr) []*Pod { return x.owners.together(a) }

// Addresses returns all that any pod owns.
func (x *Index) Addresses() []netip.Addr {
	return slices.AppendSeq(slices.Collect(maps.Keys(x.owners.sole)), maps.Keys(x.owners.contested))
}
