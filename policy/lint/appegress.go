package lint

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/space"
)

// checkWorldEgress finds tiers that may connect to everyone, though their egress is isolated.
func checkWorldEgress(r *report, spec *v1alpha1.AppTierSpec) {
	for _, rule := range rulesOf(spec) {
		if rule.direction != v1alpha1.Egress || !holdsForAny(rule, spec) {
			continue
		}
		for i, peer := range rule.peers {
			switch {
			case peer.Everyone != nil:
				r.warn(WorldEgress, rule.peerPath(i).Child("everyone"), worldEgressFix, "egress to everyone is open to every address, inside the cluster and outside, %s", theMetadataService)
			case peer.Networks != nil && isEverything(peer.Networks):
				r.warn(WorldEgress, rule.peerPath(i).Child("networks"), worldEgressFix, "these ranges are every address of a family, inside the cluster and outside, %s", theMetadataService)
			}
		}
	}
}

const (
	worldEgressFix     = "write internet: {} for what is outside the cluster, and name what is inside"
	theMetadataService = "where clouds hand out credentials of the node (169.254.169.254) too"
)

// holdsForAny says whether a rule restricts any tier.
func holdsForAny(rule appRule, spec *v1alpha1.AppTierSpec) bool {
	for i := range spec.Tiers {
		if rule.isFor(spec, &spec.Tiers[i]) {
			return true
		}
	}
	return false
}

// isEverything says whether ranges are all addresses of a family.
func isEverything(networks *v1alpha1.NetworksPeer) bool {
	for _, family := range []string{"0.0.0.0/0", "::/0"} {
		all := space.PrefixAddresses(netip.MustParsePrefix(family))
		if all.Minus(addressesIn(networks.CIDRs)).IsEmpty() && all.Intersect(addressesIn(networks.Except)).IsEmpty() {
			return true
		}
	}
	return false
}

// addressesIn are those of ranges that can be read.
func addressesIn(ranges []string) space.Addresses {
	var prefixes []netip.Prefix
	for _, text := range ranges {
		if prefix, err := kube.ParseCIDR(text); err == nil {
			prefixes = append(prefixes, prefix)
		}
	}
	return space.PrefixAddresses(prefixes...)
}

// checkNamesNeeded finds tiers that may connect to what is usually reached by name, while nothing lets
// them resolve one. Addresses, nodes and the API server, whose address every pod is given, need none.
func checkNamesNeeded(r *report, path *field.Path, spec *v1alpha1.AppTierSpec) {
	if spec.DNS.Mode != v1alpha1.DNSNone {
		return
	}
	var tiers []string
	for i := range spec.Tiers {
		if tier := &spec.Tiers[i]; expand.Isolates(spec, tier, v1alpha1.Egress) && connectsByName(spec, tier) && !asksServers(spec, tier) {
			tiers = append(tiers, tier.Name)
		}
	}
	if len(tiers) > 0 {
		r.warn(DNSNoneWithEgress, path.Child("mode"), "leave mode out, name the servers with mode: Custom, or allow addresses alone with networks",
			"tier %s may connect to what is usually reached by name, and may not resolve any", listWords(tiers))
	}
}

// connectsByName says whether a tier may connect to what is usually reached by name.
func connectsByName(spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier) bool {
	return slices.ContainsFunc(rulesOf(spec), func(rule appRule) bool {
		if rule.direction == v1alpha1.Ingress { // whose sender's egress follows from it
			return slices.ContainsFunc(rule.peers, func(peer v1alpha1.Peer) bool { return peer.Tier != nil && *peer.Tier == tier.Name })
		}
		return rule.isFor(spec, tier) && slices.ContainsFunc(rule.peers, isReachedByName)
	})
}

func isReachedByName(peer v1alpha1.Peer) bool {
	return peer.Internet != nil || peer.Everyone != nil || peer.Service != nil || peer.AppTier != nil || peer.Pods != nil || peer.Namespaces != nil
}

// asksServers says whether a rule of a tier lets it ask DNS servers: on port 53, or that of OpenShift's.
func asksServers(spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier) bool {
	dns := space.PortRange(corev1.ProtocolUDP, 53, 53).Union(space.PortRange(corev1.ProtocolTCP, 53, 53)).
		Union(space.PortRange(corev1.ProtocolUDP, 5353, 5353)).Union(space.PortRange(corev1.ProtocolTCP, 5353, 5353))
	return slices.ContainsFunc(rulesOf(spec), func(rule appRule) bool {
		return rule.direction == v1alpha1.Egress && rule.isFor(spec, tier) && rule.opens(dns)
	})
}
