package netpol

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// ClusterIP is found where an address range holds Services' cluster addresses alone.
var ClusterIP = register(check.Check{
	ID: "cluster-ip", Severity: check.Warn, About: check.OfBoth,
	Title: "The address of a Service",
	Text: `A Service's cluster address is translated to a pod's before policies are asked, so an ` + "`ipBlock`" + `, or the ` + "`networks`" + ` of an
AppTier, that hold nothing but such addresses allow nothing. Ranges of which only Services get addresses (ServiceCIDR) are the same. Some
network plugins judge before that: beside a peer that selects the pods, the address is taken as meant.`,
})

func init() { runs[ClusterIP] = checkClusterIPs }

// checkClusterIPs finds ranges of which every address is a Service's cluster address, or one that only a
// Service may have. Policies see the pod that a connection arrives at, since the address is translated first
// (https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-ipblock-selectors).
// Some network plugins judge before that, so an address beside the pods themselves is taken as meant.
func checkClusterIPs(r *check.Report, v *view) {
	if !v.Policy.Isolates(egress) {
		return
	}
	clauses := v.Policy.Clauses(egress)
	for _, clause := range clauses {
		peer := world.PeerOf(egress, clause)
		if peer == nil || peer.IPBlock == nil {
			continue
		}
		addresses, ok := connset.BlockAddresses(peer.IPBlock)
		if !ok {
			continue
		}
		path := clausePath(egress, clause).Child("ipBlock", "cidr")
		if service := v.ServesOnly(peer.IPBlock.CIDR, addresses, v.Work); service != nil {
			if !v.allowsBehind(clauses, service) {
				FindClusterIP(r, path, BehindFix(service), peer.IPBlock.CIDR, service)
			}
			continue
		}
		if v.AreOfServices(addresses) && !slices.ContainsFunc(clauses, isAboutPods) {
			FindClusterIP(r, path, "select the pods behind the Services, on the ports that they listen on", peer.IPBlock.CIDR, nil)
		}
	}
}

// FindClusterIP says that a range holds Services' addresses alone: that of one, which may be the only one, or of nobody
// in particular if it is nil.
func FindClusterIP(r *check.Report, path *field.Path, fix, cidr string, service *corev1.Service) {
	r.Find(ClusterIP, path, fix, "%s, and those are translated before policies are asked: they see the pods behind, so this allows nothing",
		addressWords(cidr, service))
}

// isAboutPods says whether a clause is about pods: beside them, an address of a Service is taken as meant.
func isAboutPods(clause connset.Clause) bool {
	peer := world.PeerOf(egress, clause)
	return peer == nil || peer.IPBlock == nil
}

func addressWords(cidr string, service *corev1.Service) string {
	if service == nil {
		return cidr + " holds addresses of Services alone"
	}
	if prefix, err := netip.ParsePrefix(cidr); err == nil && prefix.IsSingleIP() {
		return fmt.Sprintf("%s is the address of Service %s/%s", prefix.Addr(), service.Namespace, service.Name)
	}
	return fmt.Sprintf("every address of %s is that of a Service, such as %s/%s", cidr, service.Namespace, service.Name)
}

// BehindFix is what to write in a NetworkPolicy for the address of a Service.
func BehindFix(service *corev1.Service) string {
	if len(service.Spec.Selector) > 0 {
		return "select the pods behind the Service, on the ports that they listen on"
	}
	return fmt.Sprintf("write the addresses and ports that its EndpointSlices have: "+
		"kubectl get endpointslices -n %s -l kubernetes.io/service-name=%s", service.Namespace, service.Name)
}

// allowsBehind says whether any clause of a policy is about pods behind a Service, or may be: those that
// do not exist are not known.
func (v *view) allowsBehind(clauses []connset.Clause, service *corev1.Service) bool {
	behind := v.At(service.Namespace)
	return slices.ContainsFunc(clauses, func(clause connset.Clause) bool {
		peer := world.PeerOf(networkingv1.PolicyTypeEgress, clause)
		if peer != nil && peer.IPBlock != nil || !v.Work.Spend(1+len(behind.Pods)) {
			return false
		}
		return slices.ContainsFunc(behind.Pods, func(pod *world.Pod) bool {
			return kube.Selects(service, pod.Pod) && clause.Box.Match(connset.Namespace, behind.Labels) && clause.Box.Match(connset.Peer, pod.Labels)
		})
	})
}
