package lint

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/space"
)

// appRule is an ingress or an egress rule of an AppTier, which differ in name only.
type appRule struct {
	path      *field.Path
	direction v1alpha1.Direction
	// tier is whose it is; nil is every tier.
	tier     *v1alpha1.Tier
	peers    []v1alpha1.Peer
	ports    []v1alpha1.RulePort
	allPorts bool
}

// peersPath is the path of the rule's peers.
func (rule appRule) peersPath() *field.Path {
	if rule.direction == v1alpha1.Ingress {
		return rule.path.Child("from")
	}
	return rule.path.Child("to")
}

// peerPath is the path of one of the rule's peers.
func (rule appRule) peerPath(i int) *field.Path { return rule.peersPath().Index(i) }

// rulesOf returns every rule of an AppTier, in the order of its fields.
func rulesOf(spec *v1alpha1.AppTierSpec) []appRule {
	var out []appRule
	add := func(path *field.Path, tier *v1alpha1.Tier, ingress []v1alpha1.IngressRule, egress []v1alpha1.EgressRule) {
		for i, rule := range ingress {
			out = append(out, appRule{path.Child("ingress").Index(i), v1alpha1.Ingress, tier, rule.From, rule.Ports, rule.AllPorts})
		}
		for i, rule := range egress {
			out = append(out, appRule{path.Child("egress").Index(i), v1alpha1.Egress, tier, rule.To, rule.Ports, rule.AllPorts})
		}
	}
	if every := spec.EveryTier; every != nil {
		add(field.NewPath("spec", "everyTier"), nil, every.Ingress, every.Egress)
	}
	for i := range spec.Tiers {
		tier := &spec.Tiers[i]
		add(tierPath(i), tier, tier.Ingress, tier.Egress)
	}
	return out
}

func tierPath(i int) *field.Path { return field.NewPath("spec", "tiers").Index(i) }

// isFor says whether a rule restricts a tier: rules of a direction that is not isolated say nothing.
func (rule appRule) isFor(spec *v1alpha1.AppTierSpec, tier *v1alpha1.Tier) bool {
	return (rule.tier == nil || rule.tier == tier) && expand.Isolates(spec, tier, rule.direction)
}

// policyPorts are numbered ports as a NetworkPolicy has them.
func policyPorts(ports []v1alpha1.RulePort) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, port := range ports {
		if port.Port.Type == intstr.Int {
			out = append(out, networkingv1.NetworkPolicyPort{Protocol: ptr.To(protocolOf(port.Protocol)), Port: &port.Port, EndPort: port.EndPort})
		}
	}
	return out
}

// tierPorts are a tier's declared ports as those of a rule.
func tierPorts(tier *v1alpha1.Tier) []v1alpha1.RulePort {
	var out []v1alpha1.RulePort
	for _, port := range tier.Ports {
		out = append(out, v1alpha1.RulePort{Port: intstr.FromInt32(port.Port), EndPort: port.EndPort, Protocol: port.Protocol})
	}
	return out
}

// opens says whether a rule opens any of some ports.
func (rule appRule) opens(wanted space.Ports) bool {
	if rule.allPorts {
		return true
	}
	ports := policyPorts(rule.ports)
	if len(ports) == 0 {
		return false
	}
	opened, _ := space.RulePorts(ports)
	return !opened.Intersect(wanted).IsEmpty()
}
