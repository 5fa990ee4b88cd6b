package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// party is one end of a flow, looked up in the snapshot.
type party struct {
	name string
	// pod is the pod that policies apply to and that selectors match; nil for anything else.
	pod *corev1.Pod
	// unknown are the keys of labels that the pod has too, with values that are not known.
	unknown         []string
	namespaceLabels labels.Set
	// namespaceKnown is false if the pod's namespace may have more labels.
	namespaceKnown bool
	// hostPod is the pod when it is on its node's network.
	hostPod *corev1.Pod
	// also are the other pods that hold the address, if there are several.
	also []party
	// addresses are those the flow may use here, the preferred one first.
	addresses []netip.Addr
	// address is the one it uses; invalid for a pod that has none yet.
	address netip.Addr
}

// party looks an endpoint up. The error says what the snapshot lacks.
func (e *Evaluator) party(endpoint Endpoint) (party, error) {
	address := normal(endpoint.Address)
	if endpoint.Pod != (types.NamespacedName{}) {
		return e.namedParty(endpoint.Pod, address)
	}
	if !address.IsValid() {
		return party{}, errors.New("an end of the flow has neither pod nor address")
	}
	switch owners := e.owners[address]; len(owners) {
	case 0:
		return party{name: address.String(), addresses: []netip.Addr{address}}, nil
	case 1:
		return e.namedParty(owners[0], address)
	default:
		return e.joint(address, owners)
	}
}

// joint returns the pods that hold an address which several claim, as a node sees it: those of the node
// itself if there are any.
func (e *Evaluator) joint(address netip.Addr, claimants []types.NamespacedName) (party, error) {
	if e.seen == "" {
		return party{}, fmt.Errorf("address %s is claimed by %v", address, claimants)
	}
	isHere := func(name types.NamespacedName) bool { return e.pods[name].Spec.NodeName == e.seen }
	if slices.ContainsFunc(claimants, isHere) {
		claimants = slices.DeleteFunc(slices.Clone(claimants), func(name types.NamespacedName) bool { return !isHere(name) })
	}
	var p party
	for i, name := range claimants {
		one, err := e.namedParty(name, address)
		if err != nil {
			return party{}, err
		}
		if i == 0 {
			p = one
		} else {
			p.also = append(p.also, one)
		}
	}
	return p, nil
}

// each returns the pods at an end of a flow one by one; more than one if they hold its address together.
func (p party) each() []party {
	alone := p
	alone.also = nil
	return append([]party{alone}, p.also...)
}

// pods returns the same, without what else is known of them; none for what is no pod.
func (p party) pods() []*corev1.Pod {
	var pods []*corev1.Pod
	for _, one := range p.each() {
		if one.pod != nil {
			pods = append(pods, one.pod)
		}
	}
	return pods
}

// namedParty looks a pod up; a valid address is the one of its addresses that the flow uses.
func (e *Evaluator) namedParty(name types.NamespacedName, address netip.Addr) (party, error) {
	pod := e.pods[name]
	switch {
	case pod == nil:
		return party{}, fmt.Errorf("there is no pod %s", name)
	case Finished(pod):
		return party{}, fmt.Errorf("pod %s has finished and owns no address", name)
	}
	p := party{name: name.String(), addresses: podAddresses(pod)}
	if pod.Spec.HostNetwork && len(p.addresses) == 0 {
		p.addresses = hostAddresses(pod)
	}
	if address.IsValid() {
		// A pod without address may be tried with any; another pod's cannot be borrowed.
		if len(p.addresses) > 0 && !slices.Contains(p.addresses, address) {
			return party{}, fmt.Errorf("pod %s does not own address %s", name, address)
		}
		p.addresses = []netip.Addr{address}
	}
	if pod.Spec.HostNetwork {
		p.hostPod = pod
		return p, nil
	}
	p.pod, p.unknown = pod, e.unknown[name]
	p.namespaceLabels, p.namespaceKnown = e.namespaceLabels(pod.Namespace)
	return p, nil
}

// agree settles which addresses the two ends use: the destination's first that the source has the
// family of, since a packet's addresses are of one family.
func agree(source, destination *party) error {
	for _, to := range destination.addresses {
		for _, from := range source.addresses {
			if from.Is4() == to.Is4() {
				source.address, destination.address = from, to
				return nil
			}
		}
	}
	if len(source.addresses) > 0 && len(destination.addresses) > 0 {
		return fmt.Errorf("%s and %s have no address family in common", source.name, destination.name)
	}
	source.address, destination.address = first(source.addresses), first(destination.addresses)
	return nil
}

// first returns the first address, or the invalid one.
func first(addresses []netip.Addr) netip.Addr {
	if len(addresses) == 0 {
		return netip.Addr{}
	}
	return addresses[0]
}

// isSelf tells whether a packet to other never leaves the pod.
func isSelf(subject, other party, isDestination bool) bool {
	return slices.Equal(other.pods(), subject.pods()) || other.pod == nil && isDestination && other.address.IsLoopback()
}

// ownNode tells whether other is the node that the pod runs on, by its address or as a pod on its
// network. It is unknown while the pod, or the pod on the node's network, is on no node yet.
func (e *Evaluator) ownNode(pod *corev1.Pod, other party) Verdict {
	if other.pod != nil {
		return Deny
	}
	node := pod.Spec.NodeName
	if node != "" && slices.Contains(e.hosts[other.address], node) {
		return Allow
	}
	switch isNode := len(e.hosts[other.address]) > 0; {
	case other.hostPod != nil && (node == "" || other.hostPod.Spec.NodeName == ""):
		return Unknown
	case other.hostPod != nil:
		return allowIf(node == other.hostPod.Spec.NodeName)
	case isNode && node == "":
		return Unknown
	default:
		return Deny
	}
}

// Finished tells whether a pod has run its course, so that its addresses are no longer its own: its phase
// is Succeeded or Failed, or it is being removed with nothing to wait for. The kubelet deletes a pod with
// a grace period of 0 when its containers have ended; the API server writes that into the object, and
// then removes it (updateForGracefulDeletionAndFinalizers in k8s.io/apiserver's generic registry).
func Finished(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return true
	}
	grace := pod.DeletionGracePeriodSeconds
	return pod.DeletionTimestamp != nil && grace != nil && *grace == 0 && len(pod.Finalizers) == 0
}

// podAddresses returns the addresses of the pod, its primary one first.
func podAddresses(pod *corev1.Pod) []netip.Addr {
	texts := []string{pod.Status.PodIP}
	for _, ip := range pod.Status.PodIPs {
		texts = append(texts, ip.IP)
	}
	return parseAddresses(texts)
}

// hostAddresses returns what the pod's status says about the addresses of its node.
func hostAddresses(pod *corev1.Pod) []netip.Addr {
	texts := []string{pod.Status.HostIP}
	for _, ip := range pod.Status.HostIPs {
		texts = append(texts, ip.IP)
	}
	return parseAddresses(texts)
}

// nodeAddresses returns the node's addresses; its names are skipped, and what lies in its own pods' ranges.
func nodeAddresses(node *corev1.Node) []netip.Addr {
	texts := make([]string, 0, len(node.Status.Addresses))
	for _, address := range node.Status.Addresses {
		texts = append(texts, address.Address)
	}
	isPods := func(address netip.Addr) bool {
		return slices.ContainsFunc(append([]string{node.Spec.PodCIDR}, node.Spec.PodCIDRs...), func(text string) bool {
			prefix, err := netip.ParsePrefix(text)
			return err == nil && prefix.Contains(address)
		})
	}
	return slices.DeleteFunc(parseAddresses(texts), isPods)
}

// parseAddresses returns the distinct addresses among the texts, in their order.
func parseAddresses(texts []string) []netip.Addr {
	var addresses []netip.Addr
	for _, text := range texts {
		address, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		if address = normal(address); !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// normal makes addresses comparable: an IPv4 address in IPv6 clothes is an IPv4 address, and a
// zone is of no concern.
func normal(address netip.Addr) netip.Addr {
	return address.Unmap().WithZone("")
}
