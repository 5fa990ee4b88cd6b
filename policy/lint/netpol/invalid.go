package netpol

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
)

// Invalid reports where a field has an invalid value.
var Invalid = register(check.Check{
	ID: "invalid", Severity: check.Reject, About: check.OfBoth,
	Title: "An invalid value",
	Text: `Values that the API server refuses, or would refuse: invalid address ranges, ports, selectors and names. Address
ranges must have the form that Kubernetes requires since 1.36: no bits beyond the prefix, no leading zeros, no IPv4
written as IPv6. In AppTiers also contradictions.`,
})

// checkValid refuses what the API server would, by the rules of k8s.io/kubernetes
// pkg/apis/networking/validation and with the validation library that it uses, for where there is
// no API server to ask. Address ranges are held to the strict form, which the API server asks for
// since Kubernetes 1.36 (feature StrictIPCIDRValidation).
func checkValid(r *check.Report, policy *networkingv1.NetworkPolicy) {
	errs := apivalidation.ValidateObjectMeta(&policy.ObjectMeta, true, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, validateSelector(specPath.Child("podSelector"), &policy.Spec.PodSelector)...)
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		for i, rule := range kube.Rules(policy, direction) {
			for j, port := range rule.Ports {
				errs = append(errs, validatePort(rulesPath(direction).Index(i).Child("ports").Index(j), port)...)
			}
			for j, peer := range rule.Peers {
				errs = append(errs, validatePeer(peersPath(direction, i).Index(j), peer)...)
			}
		}
	}
	errs = append(errs, validateTypes(specPath.Child("policyTypes"), policy.Spec.PolicyTypes)...)
	for _, err := range errs {
		r.FindError(Invalid, err, invalidFix(err))
	}
}

func invalidFix(err *field.Error) string {
	switch text, _ := err.BadValue.(string); {
	case err.Type == field.ErrorTypeRequired && err.Detail == "must specify a peer":
		return "write podSelector: {} for every pod of this namespace, namespaceSelector: {} for every pod of the cluster, " +
			"or leave the list out for everyone"
	case err.Type == field.ErrorTypeForbidden:
		return "write one list item for each"
	default:
		if address, parseErr := netip.ParseAddr(text); parseErr == nil {
			return "write " + alone(address) + " for one address"
		}
		if prefix, parseErr := netip.ParsePrefix(text); parseErr == nil && prefix != prefix.Masked() {
			return "write " + prefix.Masked().String() + ", or " + alone(prefix.Addr()) + " for one address"
		}
		return "correct it: the API server refuses the policy as it is"
	}
}

func alone(address netip.Addr) string { return netip.PrefixFrom(address, address.BitLen()).String() }

func validateTypes(path *field.Path, types []networkingv1.PolicyType) field.ErrorList {
	allowed := []networkingv1.PolicyType{ingress, egress}
	if len(types) > len(allowed) {
		return field.ErrorList{field.Invalid(path, types, "may not specify more than two policyTypes")}
	}
	var errs field.ErrorList
	for i, policyType := range types {
		if !slices.Contains(allowed, policyType) {
			errs = append(errs, field.NotSupported(path.Index(i), policyType, allowed))
		}
	}
	return errs
}

func validatePort(path *field.Path, port networkingv1.NetworkPolicyPort) field.ErrorList {
	var errs field.ErrorList
	invalid := func(child string, value any, messages ...string) {
		for _, message := range messages {
			errs = append(errs, field.Invalid(path.Child(child), value, message))
		}
	}
	protocols := []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
	if port.Protocol != nil && !slices.Contains(protocols, *port.Protocol) {
		errs = append(errs, field.NotSupported(path.Child("protocol"), *port.Protocol, protocols))
	}
	switch {
	case port.Port == nil:
		if port.EndPort != nil {
			invalid("endPort", *port.EndPort, "may not be specified when `port` is not specified")
		}
	case port.Port.Type == intstr.Int:
		invalid("port", port.Port.IntVal, validation.IsValidPortNum(int(port.Port.IntVal))...)
		if port.EndPort != nil {
			if *port.EndPort < port.Port.IntVal {
				invalid("endPort", *port.EndPort, "must be greater than or equal to `port`")
			}
			invalid("endPort", *port.EndPort, validation.IsValidPortNum(int(*port.EndPort))...)
		}
	default:
		if port.EndPort != nil {
			invalid("endPort", *port.EndPort, "may not be specified when `port` is non-numeric")
		}
		invalid("port", port.Port.StrVal, validation.IsValidPortName(port.Port.StrVal)...)
	}
	return errs
}

func validateSelector(path *field.Path, selector *metav1.LabelSelector) field.ErrorList {
	return metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
}

func validatePeer(path *field.Path, peer networkingv1.NetworkPolicyPeer) field.ErrorList {
	var errs field.ErrorList
	if peer.PodSelector != nil {
		errs = append(errs, validateSelector(path.Child("podSelector"), peer.PodSelector)...)
	}
	if peer.NamespaceSelector != nil {
		errs = append(errs, validateSelector(path.Child("namespaceSelector"), peer.NamespaceSelector)...)
	}
	isSelector := peer.PodSelector != nil || peer.NamespaceSelector != nil
	switch {
	case peer.IPBlock != nil && isSelector:
		errs = append(errs, field.Forbidden(path, "may not specify both ipBlock and another peer"))
	case peer.IPBlock == nil && !isSelector:
		errs = append(errs, field.Required(path, "must specify a peer"))
	}
	if peer.IPBlock != nil {
		errs = append(errs, validateBlock(path.Child("ipBlock"), peer.IPBlock)...)
	}
	return errs
}

func validateBlock(path *field.Path, block *networkingv1.IPBlock) field.ErrorList {
	if block.CIDR == "" {
		return field.ErrorList{field.Required(path.Child("cidr"), "")}
	}
	const strict = true
	errs := validation.IsValidCIDRForLegacyField(path.Child("cidr"), block.CIDR, strict, nil)
	cidr, err := kube.ParseCIDR(block.CIDR)
	for i, text := range block.Except {
		errs = append(errs, validation.IsValidCIDRForLegacyField(path.Child("except").Index(i), text, strict, nil)...)
		except, exceptErr := kube.ParseCIDR(text)
		if err == nil && exceptErr == nil && (!cidr.Contains(except.Addr()) || cidr.Bits() >= except.Bits()) {
			errs = append(errs, field.Invalid(path.Child("except").Index(i), text, "must be a strict subset of `cidr`"))
		}
	}
	return errs
}
