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

// ClusterIP reports where an address range holds Services' cluster addresses alone.
var ClusterIP = register(check.Check{
	ID: "cluster-ip", Severity: check.Warn, About: check.OfBoth,
	Title: "The address of a Service",
	Text: `A Service's cluster address is translated to a pod's address before policies apply. So an ` + "`ipBlock`" + `, or the ` + "`networks`" + ` of an
AppTier, that hold only such addresses allow nothing. This also holds for the ranges that Services get addresses from (ServiceCIDR).
Some network plugins judge before the translation, so an address beside a peer that selects the pods is not reported.`,
})

func init() { runs[ClusterIP] = checkClusterIPs }

// checkClusterIPs finds ranges of which every address is a Service's cluster address, or one that only a
// Service may have. Policies see the pod that a connection arrives at, since the address is translated first
// (https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-ipblock-selectors).
// Some network plugins judge before that, so an address beside a peer that selects the pods is not reported.
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

// FindClusterIP reports that a range holds only Services' addresses. Service is an example, or nil if none is known.
func FindClusterIP(r *check.Report, path *field.Path, fix, cidr string, service *corev1.Service) {
	r.Find(ClusterIP, path, fix, "%s: Service addresses are translated to pod addresses before policies apply, so this allows nothing",
		addressWords(cidr, service))
}

// isAboutPods says whether a clause is about pods: beside one, the address of a Service is not reported.
func isAboutPods(clause connset.Clause) bool {
	peer := world.PeerOf(egress, clause)
	return peer == nil || peer.IPBlock == nil
}

func addressWords(cidr string, service *corev1.Service) string {
	if service == nil {
		return cidr + " holds only addresses of Services"
	}
	if prefix, err := netip.ParsePrefix(cidr); err == nil && prefix.IsSingleIP() {
		return fmt.Sprintf("%s is the address of Service %s/%s", prefix.Addr(), service.Namespace, service.Name)
	}
	return fmt.Sprintf("every address of %s is the address of a Service, such as %s/%s", cidr, service.Namespace, service.Name)
}

// BehindFix is what to write in a NetworkPolicy for the address of a Service.
func BehindFix(service *corev1.Service) string {
	if len(service.Spec.Selector) > 0 {
		return "select the pods behind the Service, on the ports that they listen on"
	}
	return fmt.Sprintf("write the addresses and ports of its EndpointSlices: "+
		"kubectl get endpointslices -n %s -l kubernetes.io/service-name=%s", service.Namespace, service.Name)
}

// allowsBehind says whether any clause of a policy is, or may be, about pods behind a Service: pods that do not exist
// are not known.
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
