package bind

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"slices"
)

// Port is a port of a bridge that leads into another network namespace, and what is there.
type Port struct {
	// Name of the interface in the node's namespace; Index is its number, which no other one will have.
	Name  string
	Index int
	// MAC and Addresses of the other end, including link-local addresses.
	MAC       net.HardwareAddr
	Addresses []netip.Addr
}

// Pod is a pod of this node and the addresses that it was given.
type Pod struct {
	// Name is "namespace/name".
	Name      string
	Addresses []netip.Addr
}

// Binding is what a port may send as.
type Binding struct {
	// Index is the port's; 0 when it is not known, of a binding that a table was left with.
	Index int
	// Pod is whose port it is; empty when that is not known.
	Pod string
	MAC string
	// Addresses are sorted.
	Addresses []netip.Addr
}

// Bindings are the bindings of ports, by name.
type Bindings map[string]Binding

// Bind returns what ports are bound to now. Before is what they were bound to; a port keeps its pod and its
// MAC. Own are the node's addresses, which no pod has.
func Bind(before Bindings, ports []Port, pods []Pod, own []netip.Addr) Bindings {
	b := binder{given: map[netip.Addr]string{}, held: map[string]string{}, own: map[netip.Addr]bool{}, bound: Bindings{}}
	for _, p := range slices.SortedFunc(slices.Values(pods), func(a, b Pod) int { return cmp.Compare(a.Name, b.Name) }) {
		for _, a := range p.Addresses {
			if _, taken := b.given[a]; !taken {
				b.given[a] = p.Name
			}
		}
	}
	for _, a := range own {
		b.own[a] = true
	}
	ports = slices.SortedFunc(slices.Values(ports), func(a, b Port) int { return cmp.Compare(a.Index, b.Index) })
	kept := map[string]Binding{}
	for _, p := range ports {
		old, ok := before[p.Name]
		if !ok || old.Index != p.Index && old.Index != 0 {
			continue
		}
		if old.Pod == "" {
			old.Pod = b.podOf(old.Addresses)
		}
		kept[p.Name] = old
		if slices.ContainsFunc(old.Addresses, func(a netip.Addr) bool { return old.Pod != "" && b.given[a] == old.Pod }) {
			b.held[old.Pod] = p.Name
		}
	}
	for _, p := range ports {
		if old, ok := kept[p.Name]; ok {
			b.keep(p, old)
		}
	}
	for b.findAny(ports) {
	}
	return b.bound
}

// findAny binds one more port, if it can. Each that is bound may settle what others were in doubt about.
func (b *binder) findAny(ports []Port) bool {
	shown := map[netip.Addr]int{} // by ports that are not bound
	for _, p := range ports {
		if _, ok := b.bound[p.Name]; !ok {
			for _, a := range p.Addresses {
				shown[a]++
			}
		}
	}
	return slices.ContainsFunc(ports, func(p Port) bool {
		_, ok := b.bound[p.Name]
		return !ok && b.find(p, func(a netip.Addr) bool { return shown[a] > 1 })
	})
}

type binder struct {
	given map[netip.Addr]string // to the pod of this name
	held  map[string]string     // pods by name, and the ports that are theirs
	own   map[netip.Addr]bool
	bound Bindings
}

// keep binds a port to the pod that it was bound to.
func (b *binder) keep(p Port, old Binding) {
	old.Index = p.Index
	switch b.held[old.Pod] {
	case p.Name:
	case "":
		if old.Pod != "" {
			b.held[old.Pod] = p.Name
		}
	default:
		old.Pod = "" // the pod has another port now
	}
	// What it was given meanwhile, and what it was given before unless somebody else was since.
	addresses := b.addresses(old.Pod, p.Addresses)
	for _, a := range old.Addresses {
		if owner, given := b.given[a]; !given || owner == old.Pod && owner != "" {
			addresses = append(addresses, a)
		}
	}
	old.Addresses = sorted(addresses)
	b.bound[p.Name] = old
}

// find binds a port to the pod without a port that has the first of the port's addresses, which the network plugin set
// first. An address that another port also shows does not count: a pod with NET_ADMIN and no port yet may have guessed
// it, and the pod that owns it comes later.
func (b *binder) find(p Port, doubtful func(netip.Addr) bool) bool {
	pod := b.podOf(slices.DeleteFunc(slices.Clone(p.Addresses), doubtful))
	if pod == "" || len(p.MAC) != 6 {
		return false
	}
	b.held[pod] = p.Name
	addresses := b.addresses(pod, p.Addresses)
	for _, a := range p.Addresses {
		if a.IsLinkLocalUnicast() && !b.own[a] && !b.takenElsewhere(a) {
			addresses = append(addresses, a)
		}
	}
	b.bound[p.Name] = Binding{Index: p.Index, Pod: pod, MAC: p.MAC.String(), Addresses: sorted(addresses)}
	return true
}

// podOf returns the pod that has the first of these addresses, of those that have no port.
func (b *binder) podOf(addresses []netip.Addr) string {
	for _, a := range addresses {
		if pod := b.given[a]; pod != "" && b.held[pod] == "" && !b.own[a] {
			return pod
		}
	}
	return ""
}

// addresses are those that were given to a pod and that are there.
func (b *binder) addresses(pod string, there []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range there {
		if pod != "" && b.given[a] == pod && !b.own[a] {
			out = append(out, a)
		}
	}
	return out
}

func (b *binder) takenElsewhere(a netip.Addr) bool {
	for _, other := range b.bound {
		if slices.Contains(other.Addresses, a) {
			return true
		}
	}
	return false
}

func sorted(addresses []netip.Addr) []netip.Addr {
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// Wanting says whether to read a port again: it is not bound, or its pod was given an address that the port is not
// bound to.
func (b Bindings) Wanting(name string, index int, pods []Pod) bool {
	binding, ok := b[name]
	if !ok || binding.Index != index || binding.Pod == "" {
		return true
	}
	for _, p := range pods {
		if p.Name == binding.Pod {
			return slices.ContainsFunc(p.Addresses, func(a netip.Addr) bool { return !slices.Contains(binding.Addresses, a) })
		}
	}
	return false
}

// Unbound returns the names of ports that are bound to no pod, sorted.
func (b Bindings) Unbound(ports []Port) []string {
	names := map[string]bool{}
	for _, p := range ports {
		if _, ok := b[p.Name]; !ok {
			names[p.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
