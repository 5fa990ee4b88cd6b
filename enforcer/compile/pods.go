package compile

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/kube"
)

// Pod is what of a pod matters to policies. Its addresses are its own: a pod on its node's network,
// which is the node, has none, nor has one that has finished. It is never modified.
type Pod struct {
	namespace, name string
	labels          labelSet
	addresses       []address
	ports           []containerPort
	local           bool
	announced       bool // its addresses were, by the container runtime
}

// address remembers its text, which every set that it is in needs.
type address struct {
	netip.Addr
	text string
}

// String is netip.Addr's.
func (a address) String() string { return a.text }

func (a address) family() family { return familyOf(a.Addr) }

// containerPort is a number that the pod's name for it stands for.
type containerPort struct {
	namedPort
	number int32
}

// isOf tells whether a pod has this port.
func (port containerPort) isOf(p *Pod) bool { return slices.Contains(p.ports, port) }

func (p *Pod) String() string { return p.namespace + "/" + p.name }

// SetPod tells of a pod that came or changed.
func (c *Compiler) SetPod(object *corev1.Pod) { c.PutPod(NewPod(object, c.node)) }

// PutPod does the same with what was read of the object before, for the compiler's node.
func (c *Compiler) PutPod(p *Pod) {
	key := types.NamespacedName{Namespace: p.namespace, Name: p.name}
	if len(p.addresses) == 0 {
		p = nil
	}
	c.replacePod(key, p)
}

// DeletePod tells of a pod that is gone.
func (c *Compiler) DeletePod(namespace, name string) {
	c.replacePod(types.NamespacedName{Namespace: namespace, Name: name}, nil)
}

// replacePod takes one pod out of all sets, and another of its name into them. Either may be nil.
func (c *Compiler) replacePod(key types.NamespacedName, p *Pod) {
	old := c.pods[key]
	if old.Equal(p) {
		return
	}
	rivals := map[*Pod]bool{}
	if old != nil {
		c.owners.rivals(rivals, old)
		c.displace(old)
	}
	if p != nil {
		c.owners.rivals(rivals, p)
		delete(rivals, old)
	}
	for r := range rivals {
		c.displace(r)
	}
	if old != nil {
		c.owners.remove(old)
		delete(c.pods, key)
		c.forgetNames(old)
		c.leave(old)
	}
	if p != nil {
		c.owners.add(p)
		c.pods[key] = p
		c.learnNames(p)
		c.join(p)
		c.place(p)
	}
	for r := range rivals {
		c.place(r)
	}
	c.reopen(old)
	c.reopen(p)
	c.collectGarbage(key.Namespace)
}

// reopen does to a pod's addresses what depends on whether any pod has them.
func (c *Compiler) reopen(p *Pod) {
	if p == nil {
		return
	}
	for _, a := range p.addresses {
		c.gate(a.Addr)
		c.setNodeAddress(a.Addr)
	}
}

// join makes the pod one of its namespace, and of its node's if that is this one.
func (c *Compiler) join(p *Pod) {
	s := c.namespaceOf(p.namespace)
	s.pods[p] = true
	c.countPod(p, 1)
	if !p.local {
		return
	}
	c.localsChanged = true
	c.locals[p] = &local{under: map[Direction][]*policy{}, groups: map[Direction]*group{}}
	if s.locals[p] = true; len(s.locals) == 1 {
		c.readAll(s)
	}
	for _, policy := range s.policies {
		c.match(p, policy)
	}
}

// leave undoes it.
func (c *Compiler) leave(p *Pod) {
	s := c.namespaces[p.namespace]
	delete(s.pods, p)
	c.countPod(p, -1)
	if !p.local {
		return
	}
	for _, g := range c.locals[p].groups {
		delete(g.pods, p)
		c.stale[g] = true
	}
	c.localsChanged = true
	delete(c.locals, p)
	delete(c.moved, p)
	if delete(s.locals, p); len(s.locals) == 0 {
		c.unreadAll(s)
	}
}

// place puts what the pod stands for into the sets that it belongs to. An address that it holds with
// others belongs where all of them do: the last of them puts it there.
func (c *Compiler) place(p *Pod) {
	for selected := range c.namespaces[p.namespace].selected {
		if selected.pods.Matches(p.labels) {
			selected.members[p] = true
			selected.addMembers(c.journal, c.owners.each(p, selected.has))
		}
	}
	for _, port := range p.ports {
		for _, u := range c.named[port.namedPort] {
			u.addPort(c.journal, p, port.number, c.owners.each(p, port.isOf))
		}
	}
	c.dispatch(p)
}

// displace undoes it. The first of those that hold an address takes it out of everything.
func (c *Compiler) displace(p *Pod) {
	for selected := range c.namespaces[p.namespace].selected {
		if selected.members[p] {
			selected.removeMembers(c.journal, c.owners.each(p, selected.has))
			delete(selected.members, p)
		}
	}
	for _, port := range p.ports {
		for _, u := range c.named[port.namedPort] {
			u.removePort(c.journal, port.number, c.owners.of(p))
		}
	}
	c.undispatch(p)
}

func byName(a, b *Pod) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// Equal tells whether two pods of one name differ in nothing; either may be nil.
func (p *Pod) Equal(o *Pod) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.local == o.local && p.announced == o.announced && slices.Equal(p.labels, o.labels) &&
		p.SameAddresses(o) && slices.Equal(p.ports, o.ports)
}

// NewPod reads a pod, for a compiler of the given node.
func NewPod(object *corev1.Pod, node string) *Pod {
	p := &Pod{
		namespace: object.Namespace,
		name:      object.Name,
		labels:    newLabelSet(object.Labels),
		local:     node != "" && object.Spec.NodeName == node,
		ports:     containerPorts(object),
	}
	if !object.Spec.HostNetwork && !kube.Finished(object) {
		p.own(kube.Addresses(object))
	}
	return p
}

// With returns the same pod with the addresses that the container runtime has announced of it.
func (p *Pod) With(addresses []netip.Addr) *Pod {
	out := *p
	out.addresses, out.announced = nil, true
	out.own(slices.Clone(addresses))
	return &out
}

func (p *Pod) own(addresses []netip.Addr) {
	slices.SortFunc(addresses, netip.Addr.Compare)
	for _, ip := range slices.Compact(addresses) {
		p.addresses = append(p.addresses, address{ip, ip.String()})
	}
}

// SameAddresses tells whether two pods have the same addresses; o may be nil.
func (p *Pod) SameAddresses(o *Pod) bool { return o != nil && slices.Equal(p.addresses, o.addresses) }

// Addressed tells whether the pod has addresses of its own.
func (p *Pod) Addressed() bool { return len(p.addresses) > 0 }

// containerPorts returns the named ports of a pod, each once.
func containerPorts(pod *corev1.Pod) []containerPort {
	var ports []containerPort
	for _, port := range kube.Ports(pod) {
		p := containerPort{namedPort{port.Name, kube.Protocol(port.Protocol)}, port.ContainerPort}
		if port.Name != "" && !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return ports
}

func parseAddresses(text string) []netip.Addr {
	if address, ok := parseAddress(text); ok {
		return []netip.Addr{address}
	}
	return nil
}

// parseAddress is false for what is no address, a node's host name for one.
func parseAddress(text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(text)
	return address.Unmap().WithZone(""), err == nil
}

func familyOf(address netip.Addr) family {
	if address.Is4() {
		return ipv4
	}
	return ipv6
}
