package expand

import (
	"cmp"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
)

// nodeLocalDNS is the address that node-local-dns listens on unless told otherwise.
// See https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/.
var nodeLocalDNS = netip.MustParseAddr("169.254.20.10")

// DNSOfService reads the Service that the cluster's DNS is reached by. What the Service does not say
// is as in DefaultEnvironment. A target port that is a name is taken to have the Service's number.
func DNSOfService(service *corev1.Service) ClusterDNS {
	usual := DefaultEnvironment().DNS
	dns := ClusterDNS{Namespace: service.Namespace, PodSelector: service.Spec.Selector}
	for _, port := range service.Spec.Ports {
		if !isDNS(port) {
			continue
		}
		protocol := cmp.Or(port.Protocol, corev1.ProtocolTCP)
		dns.ServicePorts = append(dns.ServicePorts, Port{Protocol: protocol, Start: port.Port})
		target := port.Port
		if port.TargetPort.Type == intstr.Int && port.TargetPort.IntVal != 0 {
			target = port.TargetPort.IntVal
		}
		dns.TargetPorts = append(dns.TargetPorts, Port{Protocol: protocol, Start: target})
	}
	if len(dns.ServicePorts) == 0 {
		dns.ServicePorts, dns.TargetPorts = usual.ServicePorts, usual.TargetPorts
	}
	if len(dns.PodSelector) == 0 {
		dns.PodSelector = usual.PodSelector
	}
	for _, text := range service.Spec.ClusterIPs {
		if address, err := netip.ParseAddr(text); err == nil { // "None" is no address
			dns.Addresses = append(dns.Addresses, address)
		}
	}
	return dns
}

// isDNS tells the ports for DNS from others that DNS Services have, such as one for metrics.
func isDNS(port corev1.ServicePort) bool { return port.Port == 53 }

// addDNS allows what an isolated pod needs to resolve names.
func addDNS(rules *ruleSet, app *v1alpha1.AppTier, env Environment) {
	switch dns := app.Spec.DNS; dns.Mode {
	case v1alpha1.DNSClusterDNS, "":
		addClusterDNS(rules, dns.NodeLocal, env.DNS)
	case v1alpha1.DNSCustom:
		ports := portSet{of: dnsPorts()}
		if len(dns.Ports) > 0 {
			ports = rulePorts(nil, dns.Ports, false)
		}
		rules.add(peers(app, dns.To, env), ports)
	case v1alpha1.DNSNone:
	}
}

func addClusterDNS(rules *ruleSet, nodeLocal v1alpha1.NodeLocalDNS, cluster ClusterDNS) {
	if len(cluster.PodSelector) > 0 {
		// Namespace AND pod, in one peer: as two list items they would be an OR.
		rules.add(peerSet{of: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: cluster.Namespace}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: cluster.PodSelector},
		}}}, portSet{of: cluster.TargetPorts})
	}
	for _, address := range cluster.Addresses {
		rules.add(peerSet{of: networks([]netip.Prefix{host(address)}, nil)}, portSet{of: cluster.ServicePorts})
	}
	if nodeLocal != v1alpha1.NodeLocalNever {
		rules.add(peerSet{of: networks([]netip.Prefix{host(nodeLocalDNS)}, nil)}, portSet{of: dnsPorts()})
	}
}

// dnsPorts are UDP and TCP 53: long answers and retries use TCP (RFC 7766).
func dnsPorts() []Port {
	return []Port{
		{Protocol: corev1.ProtocolUDP, Start: 53},
		{Protocol: corev1.ProtocolTCP, Start: 53},
	}
}
