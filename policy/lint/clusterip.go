package lint

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
)

// ClusterIP is found where an address range holds Services' cluster addresses alone.
const ClusterIP ID = "cluster-ip"

func init() {
	register(Check{
		ID: ClusterIP, Severity: Warn, About: ofBoth,
		Title: "The address of a Service",
		Text: `A Service's cluster address is translated to a pod's before policies are asked, so an ` + "`ipBlock`" + `, or the ` + "`networks`" + ` of an
AppTier, that hold nothing but such addresses allow nothing. Ranges of which only Services get addresses (ServiceCIDR) are the same. Some
network plugins judge before that: beside a peer that selects the pods, the address is taken as meant.`,
		Policy:  checkClusterIPs,
		AppTier: checkNetworksOfServices,
	})
}

// checkClusterIPs finds ranges of which every address is a Service's cluster address, or one that only a
// Service may have. Policies see the pod that a connection arrives at, since the address is translated first
// (https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-ipblock-selectors).
// Some network plugins judge before that, so an address beside the pods themselves is taken as meant.
func checkClusterIPs(r *report, v *view) {
	if !v.policy.isolates(egress) {
		return
	}
	clauses := v.policy.clauses(egress)
	for _, clause := range clauses {
		peer := peerOf(egress, clause)
		if peer == nil || peer.IPBlock == nil {
			continue
		}
		addresses, ok := connset.BlockAddresses(peer.IPBlock)
		if !ok {
			continue
		}
		path := clausePath(egress, clause).Child("ipBlock", "cidr")
		if service := v.servesOnly(peer.IPBlock.CIDR, addresses, v.work); service != nil {
			if !v.allowsBehind(clauses, service) {
				r.find(ClusterIP, path, behindFix(service),
					"%s, %s", addressWords(peer.IPBlock.CIDR, service), isTranslated)
			}
			continue
		}
		if v.areOfServices(addresses) && !slices.ContainsFunc(clauses, isAboutPods) {
			r.find(ClusterIP, path, "select the pods behind the Services, on the ports that they listen on",
				"%s holds addresses of Services alone, %s", peer.IPBlock.CIDR, isTranslated)
		}
	}
}

// isTranslated says why an address of a Service is none of a peer.
const isTranslated = "and those are translated before policies are asked: they see the pods behind, so this allows nothing"

// isAboutPods says whether a clause is about pods: beside them, an address of a Service is taken as meant.
func isAboutPods(clause connset.Clause) bool {
	peer := peerOf(egress, clause)
	return peer == nil || peer.IPBlock == nil
}

// areOfServices says whether addresses are all such as only Services have.
func (x *Index) areOfServices(addresses connset.Addresses) bool {
	return !addresses.IsEmpty() && addresses.Minus(x.serviceNetworks).IsEmpty()
}

// checkNetworksOfServices finds what checkClusterIPs does in the networks of an AppTier's egress. Beside a peer
// that stands for pods, they are taken as meant.
func checkNetworksOfServices(r *report, in *appView) {
	for rule := range model.Rules(&in.App.Spec) {
		isPods := func(peer v1alpha1.Peer) bool { return peer.Networks == nil && peer.Internet == nil }
		if rule.Direction != v1alpha1.Egress || !holdsForAny(rule, &in.App.Spec) || slices.ContainsFunc(rule.Peers, isPods) {
			continue
		}
		for i, peer := range rule.Peers {
			if peer.Networks == nil {
				continue
			}
			for j, cidr := range peer.Networks.CIDRs {
				path := rule.PeerAt(i).Path().Child("networks", "cidrs").Index(j)
				addresses := addressesIn([]string{cidr}).Minus(addressesIn(peer.Networks.Except))
				switch service := in.servesOnly(cidr, addresses, in.work); {
				case service != nil:
					r.find(ClusterIP, path, tierBehindFix(service), "%s, %s", addressWords(cidr, service), isTranslated)
				case in.areOfServices(addresses):
					r.find(ClusterIP, path, "write service: with the name of each Service", "%s holds addresses of Services alone, %s", cidr, isTranslated)
				}
			}
		}
	}
}

// isNarrow says whether a range has few enough addresses for each of them to be a Service's: at most 256.
func isNarrow(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Addr().BitLen()-prefix.Bits() <= 8
}

func addressWords(cidr string, service *corev1.Service) string {
	if prefix, err := netip.ParsePrefix(cidr); err == nil && prefix.IsSingleIP() {
		return fmt.Sprintf("%s is the address of Service %s/%s", prefix.Addr(), service.Namespace, service.Name)
	}
	return fmt.Sprintf("every address of %s is that of a Service, such as %s/%s", cidr, service.Namespace, service.Name)
}

// servesOnly is a Service that has one of the addresses of a range, if each of them is a Service's cluster
// address; nil if that is not so, or not known.
func (x *Index) servesOnly(cidr string, addresses connset.Addresses, work *Work) *corev1.Service {
	if !x.known.Services || !isNarrow(cidr) {
		return nil
	}
	var found *corev1.Service
	rest := addresses
	for _, name := range slices.Sorted(maps.Keys(x.contents)) {
		if !work.spend(1 + len(x.contents[name].services)) {
			return nil
		}
		for _, service := range x.contents[name].services {
			for _, text := range append([]string{service.Spec.ClusterIP}, service.Spec.ClusterIPs...) {
				address, err := netip.ParseAddr(text)
				if err != nil || !addresses.Contains(address) { // None, or not given yet
					continue
				}
				rest = rest.Minus(connset.PrefixAddresses(netip.PrefixFrom(address, address.BitLen())))
				if found == nil {
					found = service
				}
			}
		}
	}
	if !rest.IsEmpty() {
		return nil
	}
	return found
}

// behindFix is what to write in a NetworkPolicy for the address of a Service.
func behindFix(service *corev1.Service) string {
	if len(service.Spec.Selector) > 0 {
		return "select the pods behind the Service, on the ports that they listen on"
	}
	return fmt.Sprintf("write the addresses and ports that its EndpointSlices have: kubectl get endpointslices -n %s -l kubernetes.io/service-name=%s", service.Namespace, service.Name)
}

// tierBehindFix is what to write in an AppTier.
func tierBehindFix(service *corev1.Service) string {
	switch {
	case kube.APIServer == types.NamespacedName{Namespace: service.Namespace, Name: service.Name}:
		return "write kubeAPIServer: {}"
	case len(service.Spec.Selector) > 0:
		return fmt.Sprintf("write service: {namespace: %s, name: %s}", service.Namespace, service.Name)
	default:
		return behindFix(service)
	}
}

// allowsBehind says whether any clause of a policy is about pods behind a Service, or may be: those that
// do not exist are not known.
func (v *view) allowsBehind(clauses []connset.Clause, service *corev1.Service) bool {
	behind := v.at(service.Namespace)
	return slices.ContainsFunc(clauses, func(clause connset.Clause) bool {
		peer := peerOf(networkingv1.PolicyTypeEgress, clause)
		if peer != nil && peer.IPBlock != nil || !v.work.spend(1+len(behind.pods)) {
			return false
		}
		return slices.ContainsFunc(behind.pods, func(pod *knownPod) bool {
			return kube.Selects(service, pod.Pod) && clause.Box.Match(connset.Namespace, behind.labels) && clause.Box.Match(connset.Peer, pod.Labels)
		})
	})
}
