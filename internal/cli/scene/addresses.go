package scene

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// What is sent to an address of a Service arrives at a pod, and policies see the pod: the address is
// translated first, so a Service's address is never the peer of a connection
// (https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-ipblock-selectors).

// serviceAt is the Service that a destination's address leads to, if it is one of a Service: its
// cluster addresses, external addresses, those of its load balancer, or a node's with one of its node
// ports.
func (s *Scene) serviceAt(address netip.Addr, port string) (service *corev1.Service, byNodePort bool) {
	isNode := slices.ContainsFunc(s.Objects(), func(o manifest.Object) bool {
		node, ok := o.Object.(*corev1.Node)
		return ok && slices.ContainsFunc(node.Status.Addresses, func(a corev1.NodeAddress) bool { return isAddress(a.Address, address) })
	})
	for _, o := range s.Objects() {
		candidate, ok := o.Object.(*corev1.Service)
		if !ok {
			continue
		}
		if slices.ContainsFunc(addressesOfService(candidate), func(text string) bool { return isAddress(text, address) }) {
			return candidate, false
		}
		isNodePort := func(p corev1.ServicePort) bool { return p.NodePort != 0 && strconv.Itoa(int(p.NodePort)) == port }
		if isNode && slices.ContainsFunc(candidate.Spec.Ports, isNodePort) {
			return candidate, true
		}
	}
	return nil, false
}

func isAddress(text string, address netip.Addr) bool {
	parsed, err := netip.ParseAddr(text)
	return err == nil && parsed.Unmap() == address.Unmap()
}

// addressesOfService are those at which a Service is reached, but for its node ports.
func addressesOfService(service *corev1.Service) []string {
	out := append([]string{service.Spec.ClusterIP}, service.Spec.ClusterIPs...)
	out = append(out, service.Spec.ExternalIPs...)
	for _, balancer := range service.Status.LoadBalancer.Ingress {
		out = append(out, balancer.IP)
	}
	return out
}

// resolveSlices: a Service without selector leads to what its EndpointSlices say.
func (s *Scene) resolveSlices(e *End) error {
	for _, o := range s.Objects() {
		slice, ok := o.Object.(*discoveryv1.EndpointSlice)
		if !ok || slice.Namespace != e.Service.Namespace || slice.Labels[discoveryv1.LabelServiceName] != e.Service.Name {
			continue
		}
		ports := map[string]Port{}
		for _, p := range slice.Ports {
			ports[ptr.Deref(p.Name, "")] = Port{ptr.Deref(p.Protocol, corev1.ProtocolTCP), ptr.Deref(p.Port, 0)}
		}
		for _, endpoint := range slice.Endpoints {
			for _, text := range endpoint.Addresses {
				if address, err := netip.ParseAddr(text); err == nil {
					e.Endpoints, e.Behind = append(e.Endpoints, reach.Endpoint{Address: address}), append(e.Behind, ports)
				}
			}
		}
	}
	if len(e.Endpoints) == 0 {
		return fmt.Errorf("%s: Service %s has no selector, and no EndpointSlice says what is behind it: "+
			"give an address behind it, or its EndpointSlices",
			e.Text, types.NamespacedName{Namespace: e.Service.Namespace, Name: e.Service.Name})
	}
	return nil
}

// InternetKind is the end that is the whole internet.
const InternetKind = "internet"

// InternetAddresses stand for the internet, as some policies see it: within the ranges that none of them
// cuts, all addresses have the same answer, and one of each stands for them.
func InternetAddresses(snapshot reach.Snapshot, networks []netip.Prefix, families []bool) []reach.Endpoint {
	var out []reach.Endpoint
	for _, address := range ToldApart(snapshot) {
		if slices.Contains(families, address.Is4()) && expand.IsInternet(address, networks) {
			out = append(out, reach.Endpoint{Address: address})
		}
	}
	return out
}

// ToldApart are addresses of which policies may say different things: the first of each range that none of their blocks
// cuts, and one of either family that is of the internet; sorted.
func ToldApart(snapshots ...reach.Snapshot) []netip.Addr {
	// The first ones of either family, and those that are not special, nor anyone's in an example.
	bounds := []netip.Addr{netip.IPv4Unspecified(), netip.MustParseAddr("1.0.0.1"), netip.IPv6Unspecified(), netip.MustParseAddr("2600::1")}
	add := func(text string) {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			bounds = append(bounds, prefix.Masked().Addr(), after(prefix))
		}
	}
	for _, snapshot := range snapshots {
		for _, policy := range snapshot.Policies {
			for _, block := range blocksOf(policy) {
				add(block.CIDR)
				for _, except := range block.Except {
					add(except)
				}
			}
		}
	}
	bounds = slices.DeleteFunc(bounds, func(a netip.Addr) bool { return !a.IsValid() })
	slices.SortFunc(bounds, netip.Addr.Compare)
	return slices.Compact(bounds)
}

// after is the first address behind a range; the invalid one if there is none.
func after(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Masked().Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last.Next()
}

// Families are those of the addresses of an end, as IPv4 or not: IPv4 alone where there are none, since a
// cluster with one family has that one as a rule.
func (e *End) Families() []bool {
	var out []bool
	for _, pod := range e.Pods {
		for _, address := range kube.Addresses(pod) {
			out = append(out, address.Is4())
		}
	}
	if e.Address.IsValid() {
		out = append(out, e.Address.Unmap().Is4())
	}
	if len(out) == 0 {
		out = []bool{true}
	}
	return out
}

// blocksOf are the ranges of addresses that a policy's rules name.
func blocksOf(policy *networkingv1.NetworkPolicy) []networkingv1.IPBlock {
	var out []networkingv1.IPBlock
	add := func(peers []networkingv1.NetworkPolicyPeer) {
		for _, peer := range peers {
			if peer.IPBlock != nil {
				out = append(out, *peer.IPBlock)
			}
		}
	}
	for _, rule := range kube.AllRules(policy) {
		add(rule.Peers)
	}
	return out
}
