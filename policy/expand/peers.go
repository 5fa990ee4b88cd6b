package expand

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
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

// peers returns what a rule's peers stand for. A peer that is not understood, or whose tier does
// not exist, stands for nobody.
func peers(app *v1alpha1.AppTier, list []v1alpha1.Peer, env Environment) peerSet {
	var set peerSet
	for _, peer := range list {
		switch {
		case peer.Everyone != nil:
			set.everyone = true
		case peer.Tier != nil:
			i := slices.IndexFunc(app.Spec.Tiers, func(t v1alpha1.Tier) bool { return t.Name == *peer.Tier })
			if i >= 0 {
				set.of = append(set.of, podsPeer(app.Spec.Tiers[i].PodSelector))
			}
		case peer.Pods != nil:
			pods := podsPeer(peer.Pods.PodSelector)
			pods.NamespaceSelector = peer.Pods.NamespaceSelector.DeepCopy()
			set.of = append(set.of, pods)
		case peer.Namespaces != nil:
			set.of = append(set.of, networkingv1.NetworkPolicyPeer{NamespaceSelector: peer.Namespaces.DeepCopy()})
		case peer.Networks != nil:
			set.of = append(set.of, networks(parse(peer.Networks.CIDRs), parse(peer.Networks.Except))...)
		case peer.Internet != nil:
			set.of = append(set.of, internet(env)...)
		}
	}
	return set
}

func podsPeer(selector metav1.LabelSelector) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: selector.DeepCopy()}
}

// networks returns an ipBlock for each range, without what is excepted of it.
func networks(ranges, except []netip.Prefix) []networkingv1.NetworkPolicyPeer {
	var out []networkingv1.NetworkPolicyPeer
	for _, cidr := range ranges {
		block := &networkingv1.IPBlock{CIDR: cidr.String()}
		for _, e := range except {
			if cidr.Bits() <= e.Bits() && cidr.Contains(e.Addr()) {
				block.Except = append(block.Except, e.String())
			}
		}
		out = append(out, networkingv1.NetworkPolicyPeer{IPBlock: block})
	}
	return out
}

// internet returns every address of both families but those that are not the internet.
func internet(env Environment) []networkingv1.NetworkPolicyPeer {
	return networks(prefixes("0.0.0.0/0", "::/0"), outermost(slices.Concat(notInternet, env.ClusterNetworks)))
}

// outermost sorts ranges and drops those that lie within another: the API server refuses none of
// them, but nobody wants to read them.
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
		if cidr, err := netip.ParsePrefix(text); err == nil {
			out = append(out, cidr.Masked())
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// ingressPorts are a rule's ports, or all that the tier declares.
func ingressPorts(tier *v1alpha1.Tier, rule v1alpha1.IngressRule) portSet {
	if len(rule.Ports) > 0 || rule.AllPorts {
		return rulePorts(tier.Ports, rule.Ports, rule.AllPorts)
	}
	var set portSet
	for _, port := range tier.Ports {
		set.of = append(set.of, declaredPort(port))
	}
	return set
}

// rulePorts are a rule's ports; a name is looked up among those declared, and stands for no port
// if it is not there.
func rulePorts(declared []v1alpha1.TierPort, list []v1alpha1.RulePort, all bool) portSet {
	set := portSet{all: all}
	for _, port := range list {
		if port.Port.Type == intstr.Int {
			set.of = append(set.of, numericPort(port.Protocol, port.Port.IntVal, port.EndPort))
			continue
		}
		i := slices.IndexFunc(declared, func(p v1alpha1.TierPort) bool { return p.Name == port.Port.StrVal })
		if i >= 0 {
			set.of = append(set.of, declaredPort(declared[i]))
		}
	}
	return set
}

func declaredPort(port v1alpha1.TierPort) Port {
	return numericPort(port.Protocol, port.Port, port.EndPort)
}

func numericPort(protocol corev1.Protocol, start int32, end *int32) Port {
	if protocol == "" {
		protocol = corev1.ProtocolTCP
	}
	port := Port{Protocol: protocol, Start: start}
	if end != nil && *end != start {
		port.End = *end
	}
	return port
}

func host(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }
