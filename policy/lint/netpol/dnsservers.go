package netpol

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/world"
)

// dnsServers are where a cluster's names are resolved. Which pods that are may not be known.
type dnsServers struct {
	pods      []*world.Pod
	addresses []netip.Addr
	// namespaces are those in which they may be.
	namespaces []string
}

// dnsServers returns the cluster's, as its Services say.
func (v *view) dnsServers() dnsServers {
	servers := dnsServers{namespaces: []string{metav1.NamespaceSystem, "openshift-dns"}}
	if v.DNSService.Namespace != "" {
		servers.namespaces = append(servers.namespaces, v.DNSService.Namespace)
	}
	for _, service := range v.DNS {
		servers.namespaces = append(servers.namespaces, service.Namespace)
	}
	for _, service := range v.DNS {
		if !v.Whole || !v.Known.Services || len(service.Spec.Selector) == 0 {
			continue
		}
		servers.pods = append(servers.pods,
			world.Where(v.At(service.Namespace).Pods, func(pod *world.Pod) bool { return kube.Selects(service, pod.Pod) })...)
		for _, text := range service.Spec.ClusterIPs {
			if address, err := netip.ParseAddr(text); err == nil {
				servers.addresses = append(servers.addresses, address)
			}
		}
	}
	if len(servers.pods) == 0 || slices.ContainsFunc(servers.pods, func(pod *world.Pod) bool { return pod.Spec.HostNetwork }) {
		return dnsServers{namespaces: servers.namespaces} // who answers is not known, or is a node
	}
	// Beside them: the usual address of the node-local cache.
	servers.addresses = append(servers.addresses, netip.MustParseAddr("169.254.20.10"))
	return servers
}

// anyPort is one that nobody names: a rule that allows it means every port, and not DNS in particular.
const anyPort = 54321

// reachesDNS says whether clauses allow DNS over a protocol, to the servers if they are known, and otherwise to pods
// that may be. Whoever names the port means the servers, wherever they are.
func reachesDNS(clauses []connset.Clause, servers dnsServers, protocol corev1.Protocol) bool {
	return slices.ContainsFunc(clauses, func(clause connset.Clause) bool {
		if !isForDNS(clause, protocol) {
			return false
		}
		if len(servers.pods) == 0 {
			return servers.mayBePeersOf(clause) || !clause.Box.Ports.Contains(connset.PortOf(protocol, anyPort))
		}
		on53 := clause.Box.Ports.Contains(connset.PortOf(protocol, 53))
		return slices.ContainsFunc(servers.pods, func(pod *world.Pod) bool { return world.IsPeer(&clause.Box, pod) }) ||
			slices.ContainsFunc(servers.addresses, func(address netip.Addr) bool {
				return on53 && clause.Box.Kinds&connset.Others != 0 && clause.Box.Addresses.Contains(address)
			})
	})
}

// isForDNS says whether a clause allows a port on which DNS servers listen: OpenShift's is 5353, and one with a name
// may be theirs as well.
func isForDNS(clause connset.Clause, protocol corev1.Protocol) bool {
	return slices.ContainsFunc(clause.Named, func(port connset.NamedPort) bool { return port.Protocol == protocol }) ||
		clause.Box.Ports.Contains(connset.PortOf(protocol, 53)) || clause.Box.Ports.Contains(connset.PortOf(protocol, 5353))
}

// mayBePeersOf says whether DNS servers may be among whom a clause means: not where it names namespaces, or is about
// its own, and DNS is in others.
func (s dnsServers) mayBePeersOf(clause connset.Clause) bool {
	peer := world.PeerOf(egress, clause)
	if peer == nil || peer.IPBlock != nil {
		return true
	}
	named := []string{clause.Policy.Namespace}
	if peer.NamespaceSelector != nil {
		if named = namespacesNamed(peer.NamespaceSelector); len(named) == 0 {
			return true
		}
	}
	return slices.ContainsFunc(named, func(name string) bool { return slices.Contains(s.namespaces, name) })
}

// namespacesNamed are the namespaces that a selector asks for by their names; none if it does not.
func namespacesNamed(selector *metav1.LabelSelector) []string {
	if name, found := selector.MatchLabels[corev1.LabelMetadataName]; found {
		return []string{name}
	}
	for _, requirement := range selector.MatchExpressions {
		if requirement.Key == corev1.LabelMetadataName && requirement.Operator == metav1.LabelSelectorOpIn {
			return requirement.Values
		}
	}
	return nil
}

// DNSPorts are those that DNS servers listen on: 53, or OpenShift's.
var DNSPorts = connset.PortRange(corev1.ProtocolUDP, 53, 53).Union(connset.PortRange(corev1.ProtocolTCP, 53, 53)).
	Union(connset.PortRange(corev1.ProtocolUDP, 5353, 5353)).Union(connset.PortRange(corev1.ProtocolTCP, 5353, 5353))
