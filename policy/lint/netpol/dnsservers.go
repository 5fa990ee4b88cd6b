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

// dnsServers resolve a cluster's names. Their pods may not be known.
type dnsServers struct {
	pods      []*world.Pod
	addresses []netip.Addr
	// namespaces in which they may be.
	namespaces []string
}

// dnsServers returns the cluster's DNS servers, by its Services.
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
		return dnsServers{namespaces: servers.namespaces} // the servers are not known, or are nodes
	}
	// Beside them: the usual address of the node-local cache.
	servers.addresses = append(servers.addresses, netip.MustParseAddr("169.254.20.10"))
	return servers
}

// anyPort is one that nobody names: a rule that allows it means every port, and not DNS in particular.
const anyPort = 54321

// reachesDNS says whether clauses allow DNS over a protocol, to the servers if they are known, and otherwise to pods
// that may be servers. A clause that names the port means the servers, in any namespace.
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

// isForDNS says whether a clause allows a port on which DNS servers listen: OpenShift's is 5353, and a named port may
// be a DNS port.
func isForDNS(clause connset.Clause, protocol corev1.Protocol) bool {
	return slices.ContainsFunc(clause.Named, func(port connset.NamedPort) bool { return port.Protocol == protocol }) ||
		clause.Box.Ports.Contains(connset.PortOf(protocol, 53)) || clause.Box.Ports.Contains(connset.PortOf(protocol, 5353))
}

// mayBePeersOf says whether a clause may match DNS servers: it cannot if it names namespaces, or means its own, and DNS
// is in others.
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

// DNSPorts are the ports that DNS servers listen on: 53, and OpenShift's 5353.
var DNSPorts = connset.PortRange(corev1.ProtocolUDP, 53, 53).Union(connset.PortRange(corev1.ProtocolTCP, 53, 53)).
	Union(connset.PortRange(corev1.ProtocolUDP, 5353, 5353)).Union(connset.PortRange(corev1.ProtocolTCP, 5353, 5353))
