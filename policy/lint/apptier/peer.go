package apptier

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

func checkPeer(r *check.Report, path *field.Path, peer v1alpha1.Peer) {
	kinds := peer.Kinds()
	switch len(kinds) {
	case 0:
		r.Find(netpol.Invalid, path, "set one field, for example tier: api, or everyone: {} for every address",
			"a peer without a field matches nothing")
	case 1:
	default:
		r.Find(netpol.Invalid, path,
			"write one list item for each; for pods of certain namespaces use pods with namespaceSelector and podSelector",
			"one peer cannot be %s: it is unclear whether both must match, or either", strings.Join(texts(kinds), " and "))
	}
	if peer.Pods != nil {
		checkSelector(r, path.Child("pods", "podSelector"), &peer.Pods.PodSelector,
			"name the labels, or use the peer namespaces for every pod of a namespace")
		checkSelectorSyntax(r, path.Child("pods", "namespaceSelector"), peer.Pods.NamespaceSelector)
	}
	if peer.Namespaces != nil {
		checkSelector(r, path.Child("namespaces"), peer.Namespaces,
			"name one, for example matchLabels: {kubernetes.io/metadata.name: monitoring}")
	}
	if peer.AppTier != nil {
		checkAppTierReference(r, path.Child("appTier"), peer.AppTier)
	}
	if peer.Service != nil {
		checkServiceReference(r, path.Child("service"), peer.Service)
	}
	if peer.Networks != nil {
		checkNetworks(r, path.Child("networks"), peer.Networks)
	}
}

func checkNetworks(r *check.Report, path *field.Path, networks *v1alpha1.NetworksPeer) {
	if len(networks.CIDRs) == 0 {
		r.Find(netpol.Invalid, path.Child("cidrs"), "for example cidrs: [203.0.113.0/24]", "no range is named")
	}
	var cidrs []netip.Prefix
	for i, text := range networks.CIDRs {
		if cidr, ok := checkCIDR(r, path.Child("cidrs").Index(i), text); ok {
			cidrs = append(cidrs, cidr)
		}
	}
	for i, text := range networks.Except {
		except, ok := checkCIDR(r, path.Child("except").Index(i), text)
		within := func(cidr netip.Prefix) bool { return cidr.Bits() < except.Bits() && cidr.Contains(except.Addr()) }
		if ok && !slices.ContainsFunc(cidrs, within) {
			r.Find(netpol.Invalid, path.Child("except").Index(i), "remove it, or correct the ranges",
				"%s lies within none of the cidrs, so it excludes nothing", except)
		}
		if i := slices.Index(cidrs, except); ok && i >= 0 {
			r.Find(netpol.Invalid, path.Child("except"), "remove both", "%s excludes all of cidrs[%d]", except, i)
		}
	}
}

func checkCIDR(r *check.Report, path *field.Path, text string) (netip.Prefix, bool) {
	cidr, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		fix := "for example 203.0.113.0/24 or 2001:db8::/32"
		if address, err := netip.ParseAddr(text); err == nil {
			fix = fmt.Sprintf("write %s/%d for one address", text, address.BitLen())
		}
		r.Find(netpol.Invalid, path, fix, "%q is not an address range", text)
		return netip.Prefix{}, false
	case cidr.Addr().Is4In6():
		r.Find(netpol.Invalid, path, "write the IPv4 range", "%q is an IPv4 range written as IPv6, which no packet carries", text)
		return netip.Prefix{}, false
	case cidr != cidr.Masked():
		r.Find(netpol.Invalid, path, fmt.Sprintf("write %s, or %s/%d for one address", cidr.Masked(), cidr.Addr(), cidr.Addr().BitLen()),
			"%q has bits set beyond its prefix: it is unclear whether it means the range or the address", text)
	}
	return cidr.Masked(), true
}

// checkAppTierReference checks the names in a reference: a namespace may be left out.
func checkAppTierReference(r *check.Report, path *field.Path, reference *v1alpha1.AppTierReference) {
	checkNamespace(r, path.Child("namespace"), reference.Namespace)
	checkLabel(r, path.Child("name"), reference.Name)
	checkLabel(r, path.Child("tier"), reference.Tier)
}

func checkServiceReference(r *check.Report, path *field.Path, reference *v1alpha1.ServiceReference) {
	checkNamespace(r, path.Child("namespace"), reference.Namespace)
	checkLabel(r, path.Child("name"), reference.Name)
}

func checkNamespace(r *check.Report, path *field.Path, name string) {
	if name != "" {
		checkLabel(r, path, name)
	}
}

func checkLabel(r *check.Report, path *field.Path, name string) {
	for _, problem := range validation.IsDNS1123Label(name) {
		r.Find(netpol.Invalid, path, "write its metadata.name", "%q is not a valid name: %s", name, problem)
	}
}
