package ipset

import (
	"cmp"
	"net/netip"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/kube"
)

// Pod is what of a pod matters to policies. It is never modified.
type Pod struct {
	Namespace, Name string
	Labels          Labels
	// Addresses are the pod's own, sorted: a pod on its node's network, which is the node, has none, nor has one
	// that has finished.
	Addresses []Address
	// Ports are those with names, each once.
	Ports     []Port
	Local     bool // it is on this node
	Announced bool // its addresses were, by the container runtime
}

// NewPod reads a pod, for the node of this name.
func NewPod(object *corev1.Pod, node string) *Pod {
	p := &Pod{
		Namespace: object.Namespace,
		Name:      object.Name,
		Labels:    newLabels(object.Labels),
		Local:     node != "" && object.Spec.NodeName == node,
		Ports:     portsOf(object),
	}
	if !object.Spec.HostNetwork && !kube.Finished(object) {
		p.setAddresses(kube.Addresses(object))
	}
	return p
}

// With returns the same pod with the addresses that the container runtime has announced of it.
func (p *Pod) With(addresses []netip.Addr) *Pod {
	out := *p
	out.Addresses, out.Announced = nil, true
	out.setAddresses(slices.Clone(addresses))
	return &out
}

func (p *Pod) setAddresses(addresses []netip.Addr) {
	slices.SortFunc(addresses, netip.Addr.Compare)
	for _, a := range slices.Compact(addresses) {
		p.Addresses = append(p.Addresses, Address{a, a.String()})
	}
}

// portsOf returns the named ports of a pod, each once.
func portsOf(pod *corev1.Pod) []Port {
	var ports []Port
	for _, port := range kube.Ports(pod) {
		p := Port{NamedPort{port.Name, kube.Protocol(port.Protocol)}, port.ContainerPort}
		if port.Name != "" && !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return ports
}

// String is "namespace/name".
func (p *Pod) String() string { return p.Namespace + "/" + p.Name }

// Equal says whether two pods of the same name are equal; either may be nil.
func (p *Pod) Equal(o *Pod) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.Local == o.Local && p.Announced == o.Announced && slices.Equal(p.Labels, o.Labels) &&
		p.SameAddresses(o) && slices.Equal(p.Ports, o.Ports)
}

// SameAddresses says whether two pods have the same addresses; o may be nil.
func (p *Pod) SameAddresses(o *Pod) bool { return o != nil && slices.Equal(p.Addresses, o.Addresses) }

// Addressed says whether the pod has addresses of its own.
func (p *Pod) Addressed() bool { return len(p.Addresses) > 0 }

func byName(a, b *Pod) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Address remembers its text, which every set that it is in needs.
type Address struct {
	netip.Addr
	text string
}

// String is netip.Addr's.
func (a Address) String() string { return a.text }

// Family is the address's.
func (a Address) Family() Family { return FamilyOf(a.Addr) }

// Family is one of the two families of addresses.
type Family int

// The families; sets of addresses are of one.
const (
	AnyFamily Family = 0
	IPv4      Family = 4
	IPv6      Family = 6
)

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Labels is a pod's labels, sorted. Pods have many labels in common, and there are many pods: a map
// of strings for each was most of what they took.
type Labels []label

type label struct{ key, value unique.Handle[string] }

func newLabels(set map[string]string) Labels {
	out := make(Labels, 0, len(set))
	for key, value := range set {
		out = append(out, label{unique.Make(key), unique.Make(value)})
	}
	slices.SortFunc(out, func(a, b label) int { return cmp.Compare(a.key.Value(), b.key.Value()) })
	return out
}

// Lookup is labels.Labels'.
func (s Labels) Lookup(key string) (value string, exists bool) {
	for _, l := range s {
		if l.key.Value() == key {
			return l.value.Value(), true
		}
	}
	return "", false
}

// Has is labels.Labels'.
func (s Labels) Has(key string) bool {
	_, exists := s.Lookup(key)
	return exists
}

// Get is labels.Labels'.
func (s Labels) Get(key string) string {
	value, _ := s.Lookup(key)
	return value
}
