package compile

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/reach"
)

// Pod is what of a pod matters to policies. Its addresses are its own: a pod on its node's network,
// which is the node, has none, nor has one that has finished. It is never modified.
type Pod struct {
	namespace, name string
	labels          labelSet
	addresses       []address
	hostAddresses   []netip.Addr
	ports           []containerPort
	created         int64
	local           bool
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
		c.claims.rivals(rivals, old)
		c.displace(old)
	}
	if p != nil {
		c.claims.rivals(rivals, p)
		delete(rivals, old)
	}
	for r := range rivals {
		c.displace(r)
	}
	if old != nil {
		c.claims.remove(old)
		delete(c.pods, key)
		c.leave(old)
	}
	if p != nil {
		c.claims.add(p)
		c.pods[key] = p
		c.join(p)
		c.place(p)
	}
	for r := range rivals {
		c.place(r)
	}
	c.tidy(key.Namespace)
}

// join makes the pod one of its namespace, and of its node's if that is this one.
func (c *Compiler) join(p *Pod) {
	s := c.space(p.namespace)
	s.pods[p] = true
	if !p.local {
		return
	}
	c.countNode(p.hostAddresses, 1)
	c.locals[p] = &local{under: map[Direction][]*policy{}, groups: map[Direction]*group{}}
	if s.locals[p] = true; len(s.locals) == 1 {
		c.readAll(s)
	}
	for _, policy := range s.policies {
		c.submit(p, policy)
	}
}

// leave undoes it.
func (c *Compiler) leave(p *Pod) {
	s := c.spaces[p.namespace]
	delete(s.pods, p)
	if !p.local {
		return
	}
	c.countNode(p.hostAddresses, -1)
	for _, g := range c.locals[p].groups {
		delete(g.pods, p)
		c.stale[g] = true
	}
	delete(c.locals, p)
	delete(c.moved, p)
	if delete(s.locals, p); len(s.locals) == 0 {
		c.unreadAll(s)
	}
}

// place puts what the pod stands for into the sets that it belongs to.
func (c *Compiler) place(p *Pod) {
	own := c.claims.of(p)
	for _, a := range own {
		c.setKnown(p, a)
	}
	for selected := range c.spaces[p.namespace].selected {
		if selected.pods.Matches(p.labels) {
			selected.members[p] = true
			selected.pour(c.journal, own)
		}
	}
	for _, port := range p.ports {
		for _, u := range c.named[port.namedPort] {
			u.addPort(c.journal, p, port.number, own)
		}
	}
	c.dispatch(p, own)
}

// displace undoes it.
func (c *Compiler) displace(p *Pod) {
	own := c.claims.of(p)
	for _, a := range own {
		c.journal.DeleteElement(knownSet[a.family()], a.text)
	}
	for selected := range c.spaces[p.namespace].selected {
		if selected.members[p] {
			delete(selected.members, p)
			selected.drain(c.journal, own)
		}
	}
	for _, port := range p.ports {
		for _, u := range c.named[port.namedPort] {
			u.removePort(c.journal, port.number, own)
		}
	}
	c.undispatch(p, own)
}

func byName(a, b *Pod) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// Equal tells whether two pods of one name differ in nothing; either may be nil.
func (p *Pod) Equal(o *Pod) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.created == o.created && p.local == o.local && slices.Equal(p.labels, o.labels) &&
		p.SameAddresses(o) && slices.Equal(p.hostAddresses, o.hostAddresses) && slices.Equal(p.ports, o.ports)
}

// NewPod reads a pod, for a compiler of the given node.
func NewPod(object *corev1.Pod, node string) *Pod {
	p := &Pod{
		namespace: object.Namespace,
		name:      object.Name,
		labels:    newLabelSet(object.Labels),
		created:   object.CreationTimestamp.Unix(),
		local:     node != "" && object.Spec.NodeName == node,
		ports:     containerPorts(object.Spec),
	}
	if !object.Spec.HostNetwork && !reach.Finished(object) {
		addresses := parseAddresses(object.Status.PodIP)
		for _, ip := range object.Status.PodIPs {
			addresses = append(addresses, parseAddresses(ip.IP)...)
		}
		p.own(addresses)
	}
	if p.local {
		p.hostAddresses = parseAddresses(object.Status.HostIP)
		for _, ip := range object.Status.HostIPs {
			p.hostAddresses = append(p.hostAddresses, parseAddresses(ip.IP)...)
		}
	}
	return p
}

// With returns the same pod with other addresses.
func (p *Pod) With(addresses []netip.Addr) *Pod {
	out := *p
	out.addresses = nil
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

// containerPorts returns the named ports of the containers that run as long as the pod does:
// among init containers those are the sidecars.
func containerPorts(spec corev1.PodSpec) []containerPort {
	var ports []containerPort
	collect := func(c corev1.Container) {
		for _, port := range c.Ports {
			if port.Name != "" {
				p := containerPort{namedPort{port.Name, cmp.Or(port.Protocol, corev1.ProtocolTCP)}, port.ContainerPort}
				if !slices.Contains(ports, p) {
					ports = append(ports, p)
				}
			}
		}
	}
	for _, c := range spec.Containers {
		collect(c)
	}
	for _, c := range spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			collect(c)
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
