package expand

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// nodeLocalDNS is the address that node-local-dns listens on unless told otherwise.
// See https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/.
var nodeLocalDNS = netip.MustParseAddr("169.254.20.10")

// allowDNS allows what an isolated pod needs to resolve names.
func (x *expansion) allowDNS(rules *ruleSet) {
	switch dns := x.app.Spec.DNS; dns.Mode {
	case v1alpha1.DNSClusterDNS, "":
		addClusterDNS(rules, dns.NodeLocal, x.env.DNS)
	case v1alpha1.DNSCustom:
		at := &statement{portsLeftToPeer: len(dns.Ports) == 0}
		for i, peer := range dns.To {
			for _, end := range x.resolve(fmt.Sprintf("spec.dns.to[%d]", i), peer, v1alpha1.Egress, at) {
				ports := portSet{of: dnsPorts()}
				switch {
				case len(dns.Ports) > 0:
					ports = rulePorts(nil, dns.Ports, false)
				case end.bringsPorts:
					ports = end.ports
				}
				rules.add(end.peers, ports)
			}
		}
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
