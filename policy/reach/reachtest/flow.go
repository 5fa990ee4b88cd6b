package reachtest

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/reach"
)

// outside are addresses of no pod and no node, in and just beside the blocks that policies use.
var outside = []netip.Addr{
	netip.MustParseAddr("8.8.8.8"),
	netip.MustParseAddr("10.0.0.1"),
	netip.MustParseAddr("203.0.113.7"),
	netip.MustParseAddr("203.0.113.8"),
	netip.MustParseAddr("2001:4860:4860::8888"),
	netip.MustParseAddr("2001:db8::7"),
	netip.MustParseAddr("2001:db8::8"),
	netip.MustParseAddr("fd00:bad::1"),
}

var flowPorts = []int32{80, 53, 81, 8080, 85, 79, 82, 52, 54, 8085, 9000}

// Flow generates flows between pods, nodes and addresses outside the cluster of the snapshot, which
// may be any. Ends are named in every way that reach.Endpoint knows. A verdict may be unknown: pods
// that have finished or have no address yet are named too.
func Flow(s reach.Snapshot) *rapid.Generator[reach.Flow] {
	return rapid.Custom(func(t *rapid.T) reach.Flow {
		flow := packet(t, s, func(*corev1.Pod) bool { return true })
		loosen(t, &flow.Source)
		loosen(t, &flow.Destination)
		return flow
	})
}

// Packet generates flows that can be sent for real: both ends have addresses, of one family, and
// a pod's address comes with its name. At least one end is a running pod, which may be one on its
// node's network, unless none has an address of the drawn family.
func Packet(s reach.Snapshot) *rapid.Generator[reach.Flow] {
	return rapid.Custom(func(t *rapid.T) reach.Flow {
		return packet(t, s, func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodRunning })
	})
}

// packet draws a flow with both ends spelled out, among the pods that usable tells.
func packet(t *rapid.T, s reach.Snapshot, usable func(*corev1.Pod) bool) reach.Flow {
	isIPv4 := rapid.Bool().Draw(t, "is IPv4")
	var pods, others []reach.Endpoint
	for _, pod := range s.Pods {
		if usable(pod) {
			pods = append(pods, podEndpoints(pod, isIPv4)...)
		}
	}
	for _, node := range s.Nodes {
		for _, address := range node.Status.Addresses {
			if ip, err := netip.ParseAddr(address.Address); err == nil && ip.Is4() == isIPv4 {
				others = append(others, reach.Endpoint{Address: ip})
			}
		}
	}
	for _, address := range outside {
		if address.Is4() == isIPv4 {
			others = append(others, reach.Endpoint{Address: address})
		}
	}

	from, to := pods, pods
	switch {
	case len(pods) == 0:
		from, to = others, others
	case rarely(t, "from no pod"):
		from = others
	case rarely(t, "to no pod"):
		to = others
	}
	source := rapid.SampledFrom(from).Draw(t, "source")
	if !rarely(t, "to itself") {
		to = without(to, source)
	}
	return reach.Flow{
		Source:      source,
		Destination: rapid.SampledFrom(to).Draw(t, "destination"),
		Protocol:    rapid.SampledFrom(protocols).Draw(t, "protocol"),
		Port:        rapid.SampledFrom(flowPorts).Draw(t, "port"),
	}
}

// without returns the endpoints that are not the given one, or all if there is no other.
func without(endpoints []reach.Endpoint, one reach.Endpoint) []reach.Endpoint {
	others := slices.DeleteFunc(slices.Clone(endpoints), func(e reach.Endpoint) bool { return e == one })
	if len(others) == 0 {
		return endpoints
	}
	return others
}

// podEndpoints returns the pod with each of its addresses of a family, or with none if it has none
// at all.
func podEndpoints(pod *corev1.Pod, isIPv4 bool) []reach.Endpoint {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	if len(pod.Status.PodIPs) == 0 {
		return []reach.Endpoint{{Pod: name}}
	}
	var endpoints []reach.Endpoint
	for _, podIP := range pod.Status.PodIPs {
		if ip, err := netip.ParseAddr(podIP.IP); err == nil && ip.Is4() == isIPv4 {
			endpoints = append(endpoints, reach.Endpoint{Pod: name, Address: ip})
		}
	}
	return endpoints
}

// loosen drops the name or the address of an endpoint that has both, or keeps both.
func loosen(t *rapid.T, endpoint *reach.Endpoint) {
	if !endpoint.Address.IsValid() || endpoint.Pod == (types.NamespacedName{}) {
		return
	}
	switch rapid.IntRange(0, 2).Draw(t, "named by") {
	case 0:
		endpoint.Pod = types.NamespacedName{}
	case 1:
		endpoint.Address = netip.Addr{}
	}
}
