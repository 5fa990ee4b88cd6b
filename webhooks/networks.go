package webhooks

import (
	"net/netip"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/lint/world"
)

// serviceNetworks are the ranges that Services get their addresses from, as the cache shows them.
type serviceNetworks struct {
	store[*networkingv1.ServiceCIDR]
	changes
}

// list returns them in no order.
func (n *serviceNetworks) list() []netip.Prefix {
	var out []netip.Prefix
	for _, object := range typed[*networkingv1.ServiceCIDR](n.List()) {
		out = append(out, world.ServiceNetworksOf(object)...)
	}
	return out
}
