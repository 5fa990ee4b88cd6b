package apptier

import (
	"net/netip"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// WorldEgress reports where isolated egress is open to everyone.
var WorldEgress = register(check.Check{
	ID: "world-egress", Severity: check.Warn, About: check.OfAppTiers,
	Title: "Isolated egress that is open to everyone",
	Text: `Everyone includes every pod of the cluster, every node, and the address where clouds give credentials of the node.
For everything outside the cluster write ` + "`internet`" + `. For a tier that may connect to everything, write
` + "`isolate: [Ingress]`" + `.`,
})

func init() { runs[WorldEgress] = checkWorldEgress }

// checkWorldEgress finds tiers that may connect to everyone, though their egress is isolated.
func checkWorldEgress(r *check.Report, in *appView) {
	spec := &in.App.Spec
	for rule := range model.Rules(spec) {
		if rule.Direction != v1alpha1.Egress || !holdsForAny(rule, spec) {
			continue
		}
		for i, peer := range rule.Peers {
			switch {
			case peer.Everyone != nil:
				r.Find(WorldEgress, rule.PeerAt(i).Path().Child("everyone"), worldEgressFix,
					"egress to everyone is open to every address, inside the cluster and outside, %s", theMetadataService)
			case peer.Networks != nil && isEverything(peer.Networks):
				r.Find(WorldEgress, rule.PeerAt(i).Path().Child("networks"), worldEgressFix,
					"these ranges are every address of a family, inside the cluster and outside, %s", theMetadataService)
			}
		}
	}
}

const (
	worldEgressFix     = "write internet: {} for what is outside the cluster, and name what is inside"
	theMetadataService = "including the one where clouds give credentials of the node (169.254.169.254)"
)

// isEverything says whether ranges are all addresses of a family.
func isEverything(networks *v1alpha1.NetworksPeer) bool {
	for _, family := range []string{"0.0.0.0/0", "::/0"} {
		if connset.PrefixAddresses(netip.MustParsePrefix(family)).Minus(addressesOf(networks)).IsEmpty() {
			return true
		}
	}
	return false
}

// holdsForAny says whether a rule restricts any tier.
func holdsForAny(rule model.Rule, spec *v1alpha1.AppTierSpec) bool {
	for i := range spec.Tiers {
		if rule.Restricts(spec, &spec.Tiers[i]) {
			return true
		}
	}
	return false
}

// addressesOf are the addresses of networks without the excepted ones.
func addressesOf(networks *v1alpha1.NetworksPeer) connset.Addresses {
	return addressesIn(networks.CIDRs).Minus(addressesIn(networks.Except))
}

// addressesIn are the addresses of the ranges that parse.
func addressesIn(ranges []string) connset.Addresses {
	var prefixes []netip.Prefix
	for _, text := range ranges {
		if prefix, err := kube.ParseCIDR(text); err == nil {
			prefixes = append(prefixes, prefix)
		}
	}
	return connset.PrefixAddresses(prefixes...)
}
