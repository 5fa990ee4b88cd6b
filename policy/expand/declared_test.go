package expand_test

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// declared is what an AppTier says about a flow, read from the AppTier alone: the tests' own
// reading of the API documentation, which shares nothing with the expansion.
func declared(app *v1alpha1.AppTier, source, destination place, port expand.Port) bool {
	return leaves(app, source, destination, port) && enters(app, source, destination, port)
}

func tierOf(app *v1alpha1.AppTier, p place) *v1alpha1.Tier {
	if p.namespace != app.Namespace {
		return nil
	}
	for i := range app.Spec.Tiers {
		if app.Spec.Tiers[i].PodSelector.MatchLabels["tier"] == p.label {
			return &app.Spec.Tiers[i]
		}
	}
	return nil
}

func enters(app *v1alpha1.AppTier, source, destination place, port expand.Port) bool {
	tier := tierOf(app, destination)
	isolated := tier != nil && slices.Contains(tier.Isolate, v1alpha1.Ingress) ||
		app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace && destination.namespace == app.Namespace
	return !isolated || sameNamespace(app, source, destination) || tier != nil && accepts(app, tier, source, port)
}

func leaves(app *v1alpha1.AppTier, source, destination place, port expand.Port) bool {
	tier := tierOf(app, source)
	isolated := tier != nil && slices.Contains(tier.Isolate, v1alpha1.Egress) ||
		app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace && source.namespace == app.Namespace
	switch {
	case !isolated || sameNamespace(app, source, destination):
		return true
	case resolves(app, destination, port):
		return true
	case tier == nil || !slices.Contains(tier.Isolate, v1alpha1.Egress):
		return false // held by the namespace alone: a tier's rules are for what the tier isolates
	}
	for _, rule := range slices.Concat(tier.Egress, everyTier(app).Egress) {
		if matchesAny(app, rule.To, destination) && (rule.AllPorts || covers(rule.Ports, nil, port)) {
			return true
		}
	}
	receiver := tierOf(app, destination)
	if receiver == nil {
		return false
	}
	for _, rule := range slices.Concat(receiver.Ingress, everyTier(app).Ingress) {
		named := slices.ContainsFunc(rule.From, func(p v1alpha1.Peer) bool { return p.Tier != nil && *p.Tier == tier.Name })
		if named && rulePortsAllow(receiver, rule, port) {
			return true
		}
	}
	return false
}

func everyTier(app *v1alpha1.AppTier) v1alpha1.EveryTier {
	if app.Spec.EveryTier == nil {
		return v1alpha1.EveryTier{}
	}
	return *app.Spec.EveryTier
}

// resolves says whether a flow to a DNS server is one that dns allows.
func resolves(app *v1alpha1.AppTier, destination place, port expand.Port) bool {
	switch dns := app.Spec.DNS; dns.Mode {
	case v1alpha1.DNSClusterDNS:
		return destination.name == "dns" && port.Start == 53
	case v1alpha1.DNSCustom:
		return matchesAny(app, dns.To, destination) && (covers(dns.Ports, nil, port) || len(dns.Ports) == 0 && port.Start == 53)
	default:
		return false
	}
}

func sameNamespace(app *v1alpha1.AppTier, source, destination place) bool {
	return app.Spec.Isolation.SameNamespace == v1alpha1.SameNamespaceAllow &&
		source.namespace == app.Namespace && destination.namespace == app.Namespace
}

func accepts(app *v1alpha1.AppTier, tier *v1alpha1.Tier, source place, port expand.Port) bool {
	return slices.Contains(tier.Isolate, v1alpha1.Ingress) && slices.ContainsFunc(slices.Concat(tier.Ingress, everyTier(app).Ingress), func(rule v1alpha1.IngressRule) bool {
		return matchesAny(app, rule.From, source) && rulePortsAllow(tier, rule, port)
	})
}

func rulePortsAllow(tier *v1alpha1.Tier, rule v1alpha1.IngressRule, port expand.Port) bool {
	if len(rule.Ports) == 0 && !rule.AllPorts {
		return slices.ContainsFunc(tier.Ports, func(p v1alpha1.TierPort) bool { return p.Protocol == port.Protocol && p.Port == port.Start })
	}
	return rule.AllPorts || covers(rule.Ports, tier.Ports, port)
}

func covers(ports []v1alpha1.RulePort, names []v1alpha1.TierPort, port expand.Port) bool {
	return slices.ContainsFunc(ports, func(p v1alpha1.RulePort) bool {
		if p.Port.Type == intstr.String {
			return slices.ContainsFunc(names, func(n v1alpha1.TierPort) bool {
				return n.Name == p.Port.StrVal && n.Port == port.Start && n.Protocol == port.Protocol
			})
		}
		end := p.Port.IntVal
		if p.EndPort != nil {
			end = *p.EndPort
		}
		protocol := p.Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		return protocol == port.Protocol && p.Port.IntVal <= port.Start && port.Start <= end
	})
}

func matchesAny(app *v1alpha1.AppTier, list []v1alpha1.Peer, p place) bool {
	return slices.ContainsFunc(list, func(peer v1alpha1.Peer) bool {
		switch {
		case peer.Everyone != nil:
			return true
		case peer.Internet != nil:
			return p.name == "outside"
		case peer.Tier != nil:
			tier := tierOf(app, p)
			return tier != nil && tier.Name == *peer.Tier
		case peer.Pods != nil:
			here := p.namespace == app.Namespace
			if s := peer.Pods.NamespaceSelector; s != nil {
				here = p.namespace != "" && (len(s.MatchLabels) == 0 || s.MatchLabels[corev1.LabelMetadataName] == p.namespace)
			}
			return here && peer.Pods.PodSelector.MatchLabels["tier"] == p.label
		case peer.Namespaces != nil:
			return peer.Namespaces.MatchLabels[corev1.LabelMetadataName] == p.namespace
		case peer.Networks != nil:
			in := func(cidrs []string) bool {
				return slices.ContainsFunc(cidrs, func(c string) bool { return netip.MustParsePrefix(c).Contains(p.address) })
			}
			return in(peer.Networks.CIDRs) && !in(peer.Networks.Except)
		}
		return false
	})
}
