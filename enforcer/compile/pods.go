package compile

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/policy/reach"
)

// pod is what of a pod matters to policies. Only pods with an address of their own are here: not
// those on their node's network, which are the node, and not those that have finished.
type pod struct {
	namespace, name string
	labels          labels.Set
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

type containerPort struct {
	name     string
	protocol corev1.Protocol
	number   int32
}

func (p *pod) String() string { return p.namespace + "/" + p.name }

// podIndex holds all pods of the cluster. Those of this node are sorted by namespace and name; to
// sort the others too would take a quarter of the time of a compilation, for nothing.
type podIndex struct {
	all   []*pod
	local []*pod
	// byNamespace is for selectors that name a single namespace, which most do.
	byNamespace map[string][]*pod
	namespaces  map[string]labels.Set
}

func index(snapshot reach.Snapshot, node string, memory *Memory) podIndex {
	x := podIndex{
		all:         make([]*pod, 0, len(snapshot.Pods)),
		byNamespace: map[string][]*pod{}, namespaces: map[string]labels.Set{},
	}
	for _, namespace := range snapshot.Namespaces {
		x.namespaces[namespace.Name] = namespaceLabels(namespace.Name, namespace.Labels)
	}
	x.all = memory.recall(x.all, snapshot.Pods, node)
	x.settle()
	for _, p := range x.all {
		if _, ok := x.namespaces[p.namespace]; !ok {
			x.namespaces[p.namespace] = namespaceLabels(p.namespace, nil)
		}
		x.byNamespace[p.namespace] = append(x.byNamespace[p.namespace], p)
		if p.local {
			x.local = append(x.local, p)
		}
	}
	slices.SortFunc(x.local, byName)
	return x
}

func byName(a, b *pod) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// settle gives an address that several pods claim to the youngest of them, or the last by name:
// addresses are reused as soon as a pod is gone, and the news of that may come late.
func (x podIndex) settle() {
	owner := make(map[netip.Addr]*pod, len(x.all))
	contested := false
	for _, p := range x.all {
		for _, a := range p.addresses {
			o := owner[a.Addr]
			contested = contested || o != nil
			if o == nil || cmp.Or(cmp.Compare(o.created, p.created), byName(o, p)) < 0 {
				owner[a.Addr] = p
			}
		}
	}
	if !contested {
		return
	}
	for i, p := range x.all {
		lost := func(a address) bool { return owner[a.Addr] != p }
		if slices.ContainsFunc(p.addresses, lost) {
			without := *p // the original is remembered
			without.addresses = slices.DeleteFunc(slices.Clone(p.addresses), lost)
			x.all[i] = &without
		}
	}
}

// namespaceLabels adds the label that the API server puts on every namespace.
func namespaceLabels(name string, set map[string]string) labels.Set {
	return labels.Merge(set, labels.Set{corev1.LabelMetadataName: name})
}

// newPod returns nil for a pod without an address of its own.
func newPod(object *corev1.Pod, node string) *pod {
	finished := object.Status.Phase == corev1.PodSucceeded || object.Status.Phase == corev1.PodFailed
	if object.Spec.HostNetwork || finished {
		return nil
	}
	p := &pod{
		namespace: object.Namespace,
		name:      object.Name,
		labels:    object.Labels,
		created:   object.CreationTimestamp.Unix(),
		local:     node != "" && object.Spec.NodeName == node,
	}
	addresses := parseAddresses(object.Status.PodIP)
	for _, ip := range object.Status.PodIPs {
		addresses = append(addresses, parseAddresses(ip.IP)...)
	}
	if len(addresses) == 0 {
		return nil
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	for _, ip := range slices.Compact(addresses) {
		p.addresses = append(p.addresses, address{ip, ip.String()})
	}
	p.ports = containerPorts(object.Spec)
	if p.local {
		p.hostAddresses = parseAddresses(object.Status.HostIP)
		for _, ip := range object.Status.HostIPs {
			p.hostAddresses = append(p.hostAddresses, parseAddresses(ip.IP)...)
		}
	}
	return p
}

// containerPorts returns the named ports of the containers that run as long as the pod does:
// among init containers those are the sidecars.
func containerPorts(spec corev1.PodSpec) []containerPort {
	var ports []containerPort
	collect := func(c corev1.Container) {
		for _, port := range c.Ports {
			if port.Name != "" {
				ports = append(ports, containerPort{port.Name, cmp.Or(port.Protocol, corev1.ProtocolTCP), port.ContainerPort})
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
