package expand_test

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// reading is what an AppTier says about flows, read from it and the other AppTier alone: the tests'
// own reading of the API documentation, which shares nothing with the expansion.
type reading struct{ app, other *v1alpha1.AppTier }

func (r reading) declared(source, destination place, port model.Port) bool {
	return r.leaves(source, destination, port) && r.enters(source, destination, port)
}

func (r reading) tierOf(p place) *v1alpha1.Tier {
	if p.namespace != r.app.Namespace {
		return nil
	}
	for i := range r.app.Spec.Tiers {
		if r.app.Spec.Tiers[i].PodSelector.MatchLabels["tier"] == p.label {
			return &r.app.Spec.Tiers[i]
		}
	}
	return nil
}

func (r reading) isolated(p place, direction v1alpha1.Direction) bool {
	tier := r.tierOf(p)
	return tier != nil && slices.Contains(tier.Isolate, direction) ||
		r.app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace && p.namespace == r.app.Namespace
}

func (r reading) enters(source, destination place, port model.Port) bool {
	tier := r.tierOf(destination)
	if !r.isolated(destination, v1alpha1.Ingress) || r.sameNamespace(source, destination) {
		return true
	}
	if tier == nil {
		return false
	}
	return slices.ContainsFunc(slices.Concat(tier.Ingress, r.everyTier().Ingress), func(rule v1alpha1.IngressRule) bool {
		return slices.ContainsFunc(rule.From, func(peer v1alpha1.Peer) bool {
			on := func(port model.Port) bool { return onIngress(tier, rule, port) }
			return r.matches(peer, source) && r.agreed(peer, tier, on, nil) && r.passes(peer, source, port, on)
		})
	})
}

func (r reading) leaves(source, destination place, port model.Port) bool {
	tier := r.tierOf(source)
	switch {
	case !r.isolated(source, v1alpha1.Egress) || r.sameNamespace(source, destination):
		return true
	case r.resolves(destination, port):
		return true
	case r.sidecar() && destination.name == "istiod" && port.Protocol == corev1.ProtocolTCP && port.Start == 15012:
		return true
	case tier == nil:
		return false
	}
	for _, rule := range slices.Concat(tier.Egress, r.everyTier().Egress) {
		for _, peer := range rule.To {
			on := func(port model.Port) bool { return r.onEgress(tier, rule, peer, destination, port) }
			if r.matches(peer, destination) && r.agreed(peer, tier, nil, on) && r.passes(peer, destination, port, on) {
				return true
			}
		}
	}
	receiver := r.tierOf(destination)
	if receiver == nil {
		return false
	}
	return slices.ContainsFunc(slices.Concat(receiver.Ingress, r.everyTier().Ingress), func(rule v1alpha1.IngressRule) bool {
		named := slices.ContainsFunc(rule.From, func(p v1alpha1.Peer) bool { return p.Tier != nil && *p.Tier == tier.Name })
		return named && r.passes(v1alpha1.Peer{Tier: &tier.Name}, destination, port, func(port model.Port) bool { return onIngress(receiver, rule, port) })
	})
}

// passes says whether a port is one of a rule's or, between pods of an ambient mesh, the tunnel of
// one.
func (r reading) passes(peer v1alpha1.Peer, with place, port model.Port, on func(model.Port) bool) bool {
	pods := peer.Networks == nil && peer.Internet == nil && peer.Nodes == nil && peer.KubeAPIServer == nil
	tunnelled := pods && r.app.Spec.Mesh != nil && r.app.Spec.Mesh.DataPlane == v1alpha1.Ambient && port.Start == 15008 && with.namespace != ""
	return on(port) || tunnelled && slices.ContainsFunc(somePorts, func(p model.Port) bool { return p.Protocol == corev1.ProtocolTCP && on(p) })
}

func (r reading) sidecar() bool {
	return r.app.Spec.Mesh != nil && r.app.Spec.Mesh.DataPlane != v1alpha1.Ambient
}

func (r reading) everyTier() v1alpha1.EveryTier {
	if r.app.Spec.EveryTier == nil {
		return v1alpha1.EveryTier{}
	}
	return *r.app.Spec.EveryTier
}

// resolves says whether a flow to a DNS server is one that dns allows.
func (r reading) resolves(destination place, port model.Port) bool {
	switch dns := r.app.Spec.DNS; dns.Mode {
	case v1alpha1.DNSClusterDNS:
		return destination.name == "dns" && port.Start == 53
	case v1alpha1.DNSCustom:
		return slices.ContainsFunc(dns.To, func(peer v1alpha1.Peer) bool {
			usual := port.Start == 53
			if brings(peer) {
				usual = broughtBy(peer, destination, port)
			}
			return r.matches(peer, destination) && (covers(dns.Ports, nil, port) || len(dns.Ports) == 0 && usual)
		})
	default:
		return false
	}
}

func (r reading) sameNamespace(source, destination place) bool {
	return r.app.Spec.Isolation.SameNamespace == v1alpha1.SameNamespaceAllow &&
		source.namespace == r.app.Namespace && destination.namespace == r.app.Namespace
}

// somePorts stand for all ports: one of each side of every bound that is drawn.
var somePorts = []model.Port{
	{Protocol: "TCP", Start: 53}, {Protocol: "UDP", Start: 53}, {Protocol: "TCP", Start: 80}, {Protocol: "UDP", Start: 80},
	{Protocol: "TCP", Start: 443}, {Protocol: "TCP", Start: 15008}, {Protocol: "TCP", Start: 15012},
}

// agreed says whether the other AppTier agrees to a rule about it, on one of the rule's ports.
func (r reading) agreed(peer v1alpha1.Peer, tier *v1alpha1.Tier, in, out func(model.Port) bool) bool {
	if peer.AppTier == nil {
		return true
	}
	if peer.AppTier.Name != r.other.Name {
		return false
	}
	names := func(p v1alpha1.Peer) bool { return p.AppTier.Tier == tier.Name }
	if in == nil { // it must accept
		return slices.ContainsFunc(somePorts, out)
	}
	return slices.ContainsFunc(r.other.Spec.Tiers[0].Egress, func(rule v1alpha1.EgressRule) bool {
		leftToUs := len(rule.Ports) == 0 && !rule.AllPorts
		return slices.ContainsFunc(rule.To, names) && slices.ContainsFunc(somePorts, func(p model.Port) bool {
			return in(p) && (leftToUs || rule.AllPorts || covers(rule.Ports, nil, p))
		})
	})
}

func onIngress(tier *v1alpha1.Tier, rule v1alpha1.IngressRule, port model.Port) bool {
	if len(rule.Ports) == 0 && !rule.AllPorts {
		return slices.ContainsFunc(tier.Ports, func(p v1alpha1.TierPort) bool { return p.Protocol == port.Protocol && p.Port == port.Start })
	}
	return rule.AllPorts || covers(rule.Ports, tier.Ports, port)
}

// onEgress says whether a rule lets a port through to a peer, which may bring its own.
func (r reading) onEgress(tier *v1alpha1.Tier, rule v1alpha1.EgressRule, peer v1alpha1.Peer, destination place, port model.Port) bool {
	said := rule.AllPorts || covers(rule.Ports, nil, port)
	if peer.AppTier == nil {
		return said || len(rule.Ports) == 0 && brings(peer) && broughtBy(peer, destination, port)
	}
	// The receiver must accept this tier, on a port in common, or on any if they are left to it.
	leftToPeer := len(rule.Ports) == 0 && !rule.AllPorts
	receiver := &r.other.Spec.Tiers[0]
	return slices.ContainsFunc(receiver.Ingress, func(theirs v1alpha1.IngressRule) bool {
		if !slices.ContainsFunc(theirs.From, func(p v1alpha1.Peer) bool { return p.AppTier.Tier == tier.Name }) {
			return false
		}
		if leftToPeer {
			return onIngress(receiver, theirs, port)
		}
		return said && slices.ContainsFunc(somePorts, func(p model.Port) bool {
			return onIngress(receiver, theirs, p) && (rule.AllPorts || covers(rule.Ports, nil, p))
		})
	})
}

func brings(peer v1alpha1.Peer) bool {
	return peer.AppTier != nil || peer.Service != nil || peer.KubeAPIServer != nil
}

func broughtBy(peer v1alpha1.Peer, destination place, port model.Port) bool {
	switch {
	case peer.Service != nil:
		return port.Protocol == corev1.ProtocolTCP && port.Start == 80 || port.Protocol == corev1.ProtocolUDP && port.Start == 53
	case peer.KubeAPIServer != nil:
		return port.Protocol == corev1.ProtocolTCP && port.Start == 443
	}
	return false
}

func covers(ports []v1alpha1.RulePort, names []v1alpha1.TierPort, port model.Port) bool {
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

func (r reading) matches(peer v1alpha1.Peer, p place) bool {
	switch {
	case peer.Everyone != nil:
		return true
	case peer.Internet != nil:
		return p.name == "outside"
	case peer.Nodes != nil:
		return p.name == "node"
	case peer.KubeAPIServer != nil:
		return p.name == "apiserver" || p.name == "kubernetes"
	case peer.Service != nil:
		return peer.Service.Name == "svc" && p.name == "foreign-a"
	case peer.AppTier != nil:
		return p.name == "foreign-a"
	case peer.Tier != nil:
		tier := r.tierOf(p)
		return tier != nil && tier.Name == *peer.Tier
	case peer.Pods != nil:
		here := p.namespace == r.app.Namespace
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
}
