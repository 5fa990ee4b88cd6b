package netpol

import (
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// PrivateRangesIncomplete reports where ranges that are not the internet are left out only in part.
var PrivateRangesIncomplete = register(check.Check{
	ID: "private-ranges-incomplete", Severity: check.Warn, About: check.OfPolicies, ByItself: true,
	Title: "The internet, except for some private ranges",
	Text: `Clusters use 100.64.0.0/10 and IPv6's fc00::/7 as well as the well-known private ranges, and 169.254.0.0/16 is
the node and the cloud. To allow the internet, except all of them. A block of one family does not affect the other.`,
})

func init() { runs[PrivateRangesIncomplete] = checkBlocks }

// Ranges that are not the internet, from the IANA special-purpose address registries (RFC 6890).
var (
	internalIPv4 = append([]string{"100.64.0.0/10", "169.254.0.0/16"}, world.PrivateIPv4...)
	internalIPv6 = []string{"fc00::/7", "fe80::/10"}
)

func checkBlocks(r *check.Report, v *view) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		if !v.Policy.Isolates(direction) {
			continue
		}
		for i, rule := range kube.Rules(v.Policy.NetworkPolicy, direction) {
			checkPrivateRanges(r, direction, i, rule.Peers)
			if direction == egress {
				checkMetadata(r, i, rule)
			}
		}
	}
}

// checkPrivateRanges finds "the internet" written as everything except some of the ranges that are not the internet. A
// policy that excepts a single range of the cluster, or none, may know the cluster's ranges.
func checkPrivateRanges(r *check.Report, direction networkingv1.PolicyType, rule int, peers []networkingv1.NetworkPolicyPeer) {
	meansInternet := slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		return p.IPBlock != nil && slices.ContainsFunc(p.IPBlock.Except,
			func(e string) bool { return slices.Contains(world.PrivateIPv4, e) || slices.Contains(internalIPv6, e) })
	})
	if !meansInternet {
		return
	}
	for i, peer := range peers {
		var want []string
		switch {
		case peer.IPBlock != nil && peer.IPBlock.CIDR == "0.0.0.0/0":
			want = internalIPv4
		case peer.IPBlock != nil && peer.IPBlock.CIDR == "::/0":
			want = internalIPv6
		}
		allowed, _ := connset.BlockAddresses(orNone(peer.IPBlock))
		missing := slices.DeleteFunc(slices.Clone(want), func(text string) bool {
			return allowed.Intersect(connset.PrefixAddresses(netip.MustParsePrefix(text))).IsEmpty()
		})
		if len(missing) > 0 {
			slices.Sort(missing)
			r.Find(PrivateRangesIncomplete, peersPath(direction, rule).Index(i).Child("ipBlock", "except"), "add "+strings.Join(missing, ", "),
				"this excepts some ranges that are not the internet, but not %s: clusters use them for pods, services and nodes",
				strings.Join(missing, ", "))
		}
	}
}

func orNone(block *networkingv1.IPBlock) *networkingv1.IPBlock {
	if block == nil {
		return &networkingv1.IPBlock{}
	}
	return block
}
