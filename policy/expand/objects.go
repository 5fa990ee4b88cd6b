package expand

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
)

// DNSOfService reads the Service that the cluster's DNS is reached by. What the Service does not say
// is as in DefaultEnvironment. A target port that is a name is looked up among the pods behind the
// Service; while none declares it, it is taken to have the Service's number.
func DNSOfService(service *corev1.Service, pods []*corev1.Pod) ClusterDNS {
	usual := DefaultEnvironment().DNS
	dns := ClusterDNS{Namespace: service.Namespace, PodSelector: service.Spec.Selector, Addresses: clusterAddresses(service)}
	for _, port := range service.Spec.Ports {
		if !isDNS(port) {
			continue
		}
		protocol := kube.Protocol(port.Protocol)
		dns.ServicePorts = append(dns.ServicePorts, model.Port{Protocol: protocol, Start: port.Port})
		targets := targetPorts(service, port, pods)
		if len(targets) == 0 {
			targets = []model.Port{{Protocol: protocol, Start: port.Port}}
		}
		dns.TargetPorts = append(dns.TargetPorts, targets...)
	}
	if len(dns.ServicePorts) == 0 {
		dns.ServicePorts, dns.TargetPorts = usual.ServicePorts, usual.TargetPorts
	}
	if len(dns.PodSelector) == 0 {
		dns.PodSelector = usual.PodSelector
	}
	return dns
}

// isDNS tells the ports for DNS from others that DNS Services have, such as one for metrics.
func isDNS(port corev1.ServicePort) bool { return port.Port == 53 }

// ServiceOf reads a Service as a peer. Pods are the pods of its namespace: it looks up the names of target ports in
// the selected ones, and a name means every number that one of them declares.
func ServiceOf(service *corev1.Service, pods []*corev1.Pod) Service {
	out := Service{PodSelector: service.Spec.Selector}
	if service.Spec.Type == corev1.ServiceTypeExternalName { // its selector, if any, is ignored
		return Service{}
	}
	for _, port := range service.Spec.Ports {
		targets := targetPorts(service, port, pods)
		if len(targets) == 0 {
			out.UnresolvedPorts = append(out.UnresolvedPorts, port.TargetPort.StrVal)
		}
		out.TargetPorts = append(out.TargetPorts, targets...)
	}
	return out
}

// targetPorts are where a Service's port leads.
func targetPorts(service *corev1.Service, port corev1.ServicePort, pods []*corev1.Pod) []model.Port {
	var out []model.Port
	for _, number := range kube.TargetPorts(service, port, pods) {
		out = append(out, model.Port{Protocol: kube.Protocol(port.Protocol), Start: number})
	}
	return out
}

// NodeAddresses are the internal and external addresses of nodes, of either family, sorted.
func NodeAddresses(nodes []*corev1.Node) []netip.Addr {
	var out []netip.Addr
	for _, node := range nodes {
		for _, entry := range node.Status.Addresses {
			if entry.Type != corev1.NodeInternalIP && entry.Type != corev1.NodeExternalIP {
				continue
			}
			if address, err := netip.ParseAddr(entry.Address); err == nil {
				out = append(out, address)
			}
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// APIServerOf reads the Service default/kubernetes and its EndpointSlices, which the API server
// writes itself (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/).
// The Service may be nil.
func APIServerOf(service *corev1.Service, endpointSlices []*discoveryv1.EndpointSlice) APIServer {
	var out APIServer
	if service != nil {
		out.Service.Addresses = clusterAddresses(service)
		for _, port := range service.Spec.Ports {
			out.Service.Ports = append(out.Service.Ports, model.Port{Protocol: kube.Protocol(port.Protocol), Start: port.Port})
		}
	}
	for _, slice := range endpointSlices {
		var listener Listener
		for _, port := range slice.Ports {
			if number := ptr.Deref(port.Port, 0); number != 0 {
				listener.Ports = append(listener.Ports, model.Port{Protocol: ptr.Deref(port.Protocol, corev1.ProtocolTCP), Start: number})
			}
		}
		for _, endpoint := range slice.Endpoints {
			for _, text := range endpoint.Addresses {
				if address, err := netip.ParseAddr(text); err == nil { // of a slice with host names, none
					listener.Addresses = append(listener.Addresses, address)
				}
			}
		}
		if len(listener.Addresses) > 0 && len(listener.Ports) > 0 {
			out.Endpoints = append(out.Endpoints, listener)
		}
	}
	return out
}

func clusterAddresses(service *corev1.Service) []netip.Addr {
	var out []netip.Addr
	for _, text := range service.Spec.ClusterIPs {
		if address, err := netip.ParseAddr(text); err == nil { // "None" is no address
			out = append(out, address)
		}
	}
	return out
}
