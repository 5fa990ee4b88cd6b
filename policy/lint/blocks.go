package lint

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// PrivateRangesIncomplete is found where ranges that are not the internet are left out only in part.
const PrivateRangesIncomplete ID = "private-ranges-incomplete"

func init() {
	register(Check{
		ID: PrivateRangesIncomplete, Severity: Warn, About: ofPolicies,
		Title: "The internet, but for some private ranges",
		Text: `Clusters use 100.64.0.0/10 and IPv6's fc00::/7 as well as the well-known private ranges, and 169.254.0.0/16 is
the node and the cloud. Who means the internet should leave out all of them. A block of one family says nothing
about the other.`,
		Policy: checkBlocks, ByItself: true,
	})
}

// MetadataAddress is found where egress reaches the cloud's metadata service.
const MetadataAddress ID = "metadata-address"

func init() {
	register(Check{
		ID: MetadataAddress, Severity: Warn, About: ofPolicies,
		Title: "Egress to the cloud's metadata service",
		Text: `169.254.169.254 hands credentials of the node to whoever asks over HTTP. A wide block holds it too. A block of
this address alone is taken as meant.`,
	})
}

// Ranges that are not the internet, from the IANA special-purpose address registries (RFC 6890).
var (
	privateIPv4  = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
	internalIPv4 = append([]string{"100.64.0.0/10", "169.254.0.0/16"}, privateIPv4...)
	internalIPv6 = []string{"fc00::/7", "fe80::/10"}
)

// metadataAddress is where clouds serve credentials to whoever asks, over plain HTTP.
var metadataAddress = netip.MustParseAddr("169.254.169.254")

func checkBlocks(r *report, v *view) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		if !v.policy.isolates(direction) {
			continue
		}
		for i, rule := range kube.Rules(v.policy.NetworkPolicy, direction) {
			checkPrivateRanges(r, direction, i, rule.Peers)
			if direction == egress {
				checkMetadata(r, i, rule)
			}
		}
	}
}

// checkPrivateRanges finds "the internet" written as everything but some of the ranges that are not.
// Who leaves out a single range of the cluster, or none, may know what the cluster's are.
func checkPrivateRanges(r *report, direction networkingv1.PolicyType, rule int, peers []networkingv1.NetworkPolicyPeer) {
	meansInternet := slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		return p.IPBlock != nil && slices.ContainsFunc(p.IPBlock.Except, func(e string) bool { return slices.Contains(privateIPv4, e) || slices.Contains(internalIPv6, e) })
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
			r.find(PrivateRangesIncomplete, peersPath(direction, rule).Index(i).Child("ipBlock", "except"), "add "+strings.Join(missing, ", "),
				"this leaves out some ranges that are not the internet, but not %s: clusters use them for pods, services and nodes", strings.Join(missing, ", "))
		}
	}
}

func orNone(block *networkingv1.IPBlock) *networkingv1.IPBlock {
	if block == nil {
		return &networkingv1.IPBlock{}
	}
	return block
}

// checkMetadata finds wide blocks that the cloud's metadata service is in. A block for this address
// alone is meant.
func checkMetadata(r *report, rule int, of kube.Rule) {
	ports, _ := connset.RulePorts(of.Ports)
	if !ports.Contains(connset.PortOf(corev1.ProtocolTCP, 80)) {
		return
	}
	for i, peer := range of.Peers {
		block := orNone(peer.IPBlock)
		addresses, ok := connset.BlockAddresses(block)
		if ok && !strings.HasSuffix(block.CIDR, "/32") && addresses.Contains(metadataAddress) {
			r.find(MetadataAddress, peersPath(egress, rule).Index(i).Child("ipBlock"), "add 169.254.0.0/16 to except",
				"%s holds %s, where clouds hand credentials of the node to whoever asks", block.CIDR, metadataAddress)
		}
	}
}
