package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
)

// EmptySelector is found where a selector would match everything.
const EmptySelector ID = "empty-selector"

func init() {
	register(Check{
		ID: EmptySelector, Severity: Reject, About: ofAppTiers,
		Title: "An empty selector",
		Text:  `An empty selector matches everything, which is rarely meant where a tier or a peer is to be named.`,
	})
}

func checkPeer(r *report, path *field.Path, peer v1alpha1.Peer) {
	kinds := peer.Kinds()
	switch len(kinds) {
	case 0:
		r.find(Invalid, path, "set one, for example tier: api, or everyone: {} for truly anyone", "a peer that says nothing stands for nobody")
	case 1:
	default:
		r.find(Invalid, path, "write one list item for each; for pods of certain namespaces use pods with namespaceSelector and podSelector",
			"one peer cannot be %s at once: it is unclear whether both or either is meant", strings.Join(texts(kinds), " and "))
	}
	if peer.Pods != nil {
		checkSelector(r, path.Child("pods", "podSelector"), &peer.Pods.PodSelector, "name the labels, or use the peer namespaces for every pod of a namespace")
		checkSelectorSyntax(r, path.Child("pods", "namespaceSelector"), peer.Pods.NamespaceSelector)
	}
	if peer.Namespaces != nil {
		checkSelector(r, path.Child("namespaces"), peer.Namespaces, "name one, for example matchLabels: {kubernetes.io/metadata.name: monitoring}")
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

func checkSelector(r *report, path *field.Path, selector *metav1.LabelSelector, fix string) {
	if len(selector.MatchLabels) == 0 && len(selector.MatchExpressions) == 0 {
		r.find(EmptySelector, path, fix, "an empty selector matches everything")
	}
	checkSelectorSyntax(r, path, selector)
}

func checkSelectorSyntax(r *report, path *field.Path, selector *metav1.LabelSelector) {
	for _, err := range metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path) {
		r.findings = append(r.findings, Finding{Check: Invalid, Severity: Reject, Path: Path(err.Field), Message: err.ErrorBody(),
			Fix: "see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/"})
	}
}

func checkNetworks(r *report, path *field.Path, networks *v1alpha1.NetworksPeer) {
	if len(networks.CIDRs) == 0 {
		r.find(Invalid, path.Child("cidrs"), "for example cidrs: [203.0.113.0/24]", "no range is named")
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
			r.find(Invalid, path.Child("except").Index(i), "remove it, or correct the ranges", "%s lies within none of the cidrs, so it takes nothing out", except)
		}
		if i := slices.Index(cidrs, except); ok && i >= 0 {
			r.find(Invalid, path.Child("except"), "remove both", "%s takes out the whole of cidrs[%d]", except, i)
		}
	}
}

func checkCIDR(r *report, path *field.Path, text string) (netip.Prefix, bool) {
	cidr, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		fix := "for example 203.0.113.0/24 or 2001:db8::/32"
		if address, err := netip.ParseAddr(text); err == nil {
			fix = fmt.Sprintf("write %s/%d for one address", text, address.BitLen())
		}
		r.find(Invalid, path, fix, "%q is not an address range", text)
		return netip.Prefix{}, false
	case cidr.Addr().Is4In6():
		r.find(Invalid, path, "write the IPv4 range", "%q is an IPv4 range written as IPv6, which no packet carries", text)
		return netip.Prefix{}, false
	case cidr != cidr.Masked():
		r.find(Invalid, path, fmt.Sprintf("write %s, or %s/%d for one address", cidr.Masked(), cidr.Addr(), cidr.Addr().BitLen()),
			"%q has bits set beyond its prefix: the range or the address may be meant", text)
	}
	return cidr.Masked(), true
}

func checkTierExists(r *report, path *field.Path, spec *v1alpha1.AppTierSpec, name string) {
	var names []string
	for _, tier := range spec.Tiers {
		names = append(names, tier.Name)
	}
	if slices.Contains(names, name) {
		return
	}
	fix := "tiers of this AppTier: " + strings.Join(names, ", ")
	if near := nearestOf(name, names); near != "" {
		fix = fmt.Sprintf("did you mean %s? %s", near, fix)
	}
	r.find(UnknownReference, path, fix, "there is no tier %q in this AppTier", name)
}

// checkRange checks a port and the end of its range.
func checkRange(r *report, path *field.Path, port int32, end *int32) {
	if port < 1 || port > 65535 {
		r.find(Invalid, path.Child("port"), "use a number from 1 to 65535", "%d is not a port", port)
	}
	if end == nil {
		return
	}
	if *end > 65535 {
		r.find(Invalid, path.Child("endPort"), "use a number from 1 to 65535", "%d is not a port", *end)
	}
	if *end < port {
		r.find(Invalid, path.Child("endPort"), fmt.Sprintf("write port: %d and endPort: %d", *end, port), "the range ends at %d, before it starts at %d", *end, port)
	}
}

// checkRulePort checks a rule's port; declared are the ports whose names it may use.
func checkRulePort(r *report, path *field.Path, port v1alpha1.RulePort, declared []v1alpha1.TierPort) {
	checkProtocol(r, path, port.Protocol)
	if port.Port.Type == intstr.Int {
		checkRange(r, path, port.Port.IntVal, port.EndPort)
		return
	}
	name := port.Port.StrVal
	if port.EndPort != nil {
		r.find(Invalid, path.Child("endPort"), "write port as a number, or declare the range as a port of the tier", "a range cannot start at a name")
	}
	i := slices.IndexFunc(declared, func(p v1alpha1.TierPort) bool { return p.Name != "" && p.Name == name })
	if i < 0 {
		r.find(UnknownReference, path.Child("port"), unknownPortFix(name, declared), "there is no port named %q here", name)
		return
	}
	if have := kube.Protocol(declared[i].Protocol); port.Protocol != "" && port.Protocol != have {
		r.find(Invalid, path.Child("protocol"), "leave protocol out", "port %s is declared with protocol %s", name, have)
	}
}

func unknownPortFix(name string, declared []v1alpha1.TierPort) string {
	var names []string
	for _, port := range declared {
		if port.Name != "" {
			names = append(names, port.Name)
		}
	}
	if near := nearestOf(name, names); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	if len(names) == 0 {
		return "write its number: names are those that the receiving tier declares in ports"
	}
	return "named ports of this tier: " + strings.Join(names, ", ")
}
