package apptier

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/model"
)

func init() { runs[netpol.ClusterIP] = checkNetworksOfServices }

// checkNetworksOfServices makes the check of policies for the networks of an AppTier's egress. It does not report networks
// beside a peer that is pods.
func checkNetworksOfServices(r *check.Report, in *appView) {
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
				switch service := in.ServesOnly(cidr, addresses, in.work); {
				case service != nil:
					netpol.FindClusterIP(r, path, tierBehindFix(service), cidr, service)
				case in.AreOfServices(addresses):
					netpol.FindClusterIP(r, path, "write service: with the name of each Service", cidr, nil)
				}
			}
		}
	}
}

// tierBehindFix is what to write in an AppTier for the address of a Service.
func tierBehindFix(service *corev1.Service) string {
	switch {
	case kube.NameOf(service) == kube.APIServer:
		return "write kubeAPIServer: {}"
	case len(service.Spec.Selector) > 0:
		return fmt.Sprintf("write service: {namespace: %s, name: %s}", service.Namespace, service.Name)
	default:
		return netpol.BehindFix(service)
	}
}
