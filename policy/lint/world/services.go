package world

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
)

// IsDNS says whether a Service is the cluster's DNS: by the usual label, by a name that only it has, or by
// configuration.
func (x *Index) IsDNS(service *corev1.Service) bool {
	name := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	return service.Labels["k8s-app"] == "kube-dns" || name == x.DNSService ||
		slices.Contains([]types.NamespacedName{{Namespace: "kube-system", Name: "kube-dns"}, {Namespace: "openshift-dns", Name: "dns-default"}},
			name)
}

// AreOfServices says whether only Services can have these addresses.
func (x *Index) AreOfServices(addresses connset.Addresses) bool {
	return !addresses.IsEmpty() && addresses.Minus(x.serviceNetworks).IsEmpty()
}

// ServesOnly is a Service with an address of a range, if each address of the range is a Service's cluster address;
// nil if not, or if it is not known.
func (x *Index) ServesOnly(cidr string, addresses connset.Addresses, work *check.Work) *corev1.Service {
	if !x.Known.Services || !isNarrow(cidr) {
		return nil
	}
	var found *corev1.Service
	rest := addresses
	for _, name := range slices.Sorted(maps.Keys(x.namespaces)) {
		if !work.Spend(1 + len(x.namespaces[name].Services)) {
			return nil
		}
		for _, service := range x.namespaces[name].Services {
			for _, text := range append([]string{service.Spec.ClusterIP}, service.Spec.ClusterIPs...) {
				address, err := netip.ParseAddr(text)
				if err != nil || !addresses.Contains(address) { // None, or not given yet
					continue
				}
				rest = rest.Minus(connset.SingleAddresses(address))
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

// isNarrow says whether a range has few enough addresses for each of them to be a Service's: at most 256.
func isNarrow(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Addr().BitLen()-prefix.Bits() <= 8
}
