package expand

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// nodeLocalDNS is the address that node-local-dns listens on unless told otherwise.
// See https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/.
var nodeLocalDNS = netip.MustParseAddr("169.254.20.10")

// dns is what an isolated pod needs to resolve names.
func (x *expansion) dns() []allowance {
	switch dns := x.app.Spec.DNS; dns.Mode {
	case v1alpha1.DNSClusterDNS, "":
		return clusterDNS(dns.NodeLocal, x.env.DNS)
	case v1alpha1.DNSCustom:
		return x.customDNS(dns)
	case v1alpha1.DNSNone:
	}
	return nil
}

func (x *expansion) customDNS(dns v1alpha1.DNS) []allowance {
	var allowed []allowance
	says := statement{portsLeftToPeer: len(dns.Ports) == 0}
	for i := range dns.To {
		at := model.DNSServer(i)
		for _, end := range x.resolve(at, &dns.To[i], v1alpha1.Egress, says) {
			ports := model.Ports{Of: dnsPorts()}
			switch {
			case len(dns.Ports) > 0:
				ports = model.RulePorts(nil, dns.Ports, false)
			case end.bringsPorts:
				ports = end.ports
			}
			allowed = append(allowed, allowance{at, end.peers, ports})
		}
	}
	return allowed
}

func clusterDNS(nodeLocal v1alpha1.NodeLocalDNS, cluster ClusterDNS) []allowance {
	at := model.Setting("dns")
	var allowed []allowance
	if len(cluster.PodSelector) > 0 {
		// Namespace AND pod, in one peer: as two list items they would be an OR.
		allowed = append(allowed, allowance{at, onePeer(networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: cluster.Namespace}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: cluster.PodSelector},
		}), model.Ports{Of: cluster.TargetPorts}})
	}
	allowed = append(allowed, allowance{at, hosts(cluster.Addresses), model.Ports{Of: cluster.ServicePorts}})
	if nodeLocal != v1alpha1.NodeLocalNever {
		allowed = append(allowed, allowance{at, hosts([]netip.Addr{nodeLocalDNS}), model.Ports{Of: dnsPorts()}})
	}
	return allowed
}

// dnsPorts are UDP and TCP 53: long answers and retries use TCP (RFC 7766).
func dnsPorts() []model.Port {
	return []model.Port{
		{Protocol: corev1.ProtocolUDP, Start: 53},
		{Protocol: corev1.ProtocolTCP, Start: 53},
	}
}
