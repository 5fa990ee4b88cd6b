package expand

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/kube"
)

// notInternet are the ranges that are not globally reachable and matter to a pod, from the IANA
// special-purpose address registries (RFC 6890), and multicast (RFC 5771, RFC 4291).
var notInternet = prefixes(
	"0.0.0.0/8",      // this network
	"10.0.0.0/8",     // private
	"100.64.0.0/10",  // carrier-grade NAT
	"127.0.0.0/8",    // loopback
	"169.254.0.0/16", // link-local, and cloud metadata
	"172.16.0.0/12",  // private
	"192.168.0.0/16", // private
	"224.0.0.0/4",    // multicast
	"240.0.0.0/4",    // reserved, and broadcast
	"::/127",         // unspecified and loopback
	"64:ff9b:1::/48", // local-use IPv4/IPv6 translation
	"fc00::/7",       // unique local
	"fe80::/10",      // link-local
	"ff00::/8",       // multicast
)

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func podsPeer(selector metav1.LabelSelector) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: selector.DeepCopy()}
}

// podsOf selects pods of one namespace, as seen from another or the same.
func podsOf(namespace string, selector metav1.LabelSelector, from string) networkingv1.NetworkPolicyPeer {
	peer := podsPeer(selector)
	if namespace != from {
		peer.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
	}
	return peer
}

// hosts returns an ipBlock for each address.
func hosts(addresses []netip.Addr) peerSet {
	var ranges []netip.Prefix
	for _, address := range addresses {
		ranges = append(ranges, host(address))
	}
	return peerSet{of: networks(ranges, nil)}
}

// networks returns an ipBlock for each range, without what is excepted of it.
func networks(ranges, except []netip.Prefix) []keyedPeer {
	var out []keyedPeer
	for _, cidr := range ranges {
		block := &networkingv1.IPBlock{CIDR: cidr.String()}
		for _, e := range except {
			if cidr.Bits() <= e.Bits() && cidr.Contains(e.Addr()) {
				block.Except = append(block.Except, e.String())
			}
		}
		out = append(out, keyed(networkingv1.NetworkPolicyPeer{IPBlock: block}))
	}
	return out
}

// internet returns every address of both families except the ranges that are not the internet.
func internet(env Environment) []keyedPeer {
	return networks(prefixes("0.0.0.0/0", "::/0"), outermost(slices.Concat(notInternet, env.ClusterNetworks)))
}

// Internet are the peers of the internet, without clusterNetworks.
func Internet(clusterNetworks []netip.Prefix) []networkingv1.NetworkPolicyPeer {
	var out []networkingv1.NetworkPolicyPeer
	for _, peer := range internet(Environment{ClusterNetworks: clusterNetworks}) {
		out = append(out, peer.peer)
	}
	return out
}

// IsInternet says whether an address is part of the internet.
func IsInternet(address netip.Addr, clusterNetworks []netip.Prefix) bool {
	return !slices.ContainsFunc(slices.Concat(notInternet, clusterNetworks), func(p netip.Prefix) bool { return p.Contains(address) })
}

// outermost sorts ranges and drops a range that lies within another: the API server accepts them, but
// they are noise.
func outermost(ranges []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, netip.Prefix.Compare)
	var out []netip.Prefix
	for _, cidr := range sorted { // a range sorts before those within it
		if n := len(out); n > 0 && out[n-1].Overlaps(cidr) {
			continue
		}
		out = append(out, cidr)
	}
	return out
}

// parse returns the ranges that are valid, in canonical form, sorted, each once.
func parse(cidrs []string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range cidrs {
		if cidr, err := kube.ParseCIDR(text); err == nil {
			out = append(out, cidr)
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

func host(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }
