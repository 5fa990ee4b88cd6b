package learn

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
)

const mostOfRule = 32 // peers, ports, and rules of a tier, as in the schema

// addition is what a tier has to declare besides.
type addition struct {
	tier      tierOf
	direction networkingv1.PolicyType
	peer      v1alpha1.Peer
	ports     []v1alpha1.RulePort
}

// extend adds to tiers what they do not declare. By name, a connection between tiers of an AppTier is declared once, at
// the receiver; otherwise each side names the pods of the other.
func (l *learning) extend(halves []half, byName bool) {
	var all []*addition
	for _, h := range halves {
		tiers := l.tiersOf(h.near().workload)
		if len(tiers) == 0 {
			continue
		}
		tier, direction, peer := tiers[0], h.direction, l.declared(h)
		if other, found := l.tierBeside(tier.app, h.far()); found && byName {
			direction, peer = networkingv1.PolicyTypeIngress, v1alpha1.Peer{Tier: &other.tier().Name}
			if h.direction == networkingv1.PolicyTypeEgress {
				tier, peer = other, v1alpha1.Peer{Tier: &tier.tier().Name}
			}
		}
		i := slices.IndexFunc(all, func(a *addition) bool {
			return a.tier == tier && a.direction == direction && textOf(a.peer) == textOf(peer)
		})
		if i < 0 {
			i = len(all)
			all = append(all, &addition{tier: tier, direction: direction, peer: peer})
		}
		port := v1alpha1.RulePort{Port: intstr.FromInt32(h.port), Protocol: saidProtocol(h.protocol)}
		if !slices.Contains(all[i].ports, port) {
			all[i].ports = append(all[i].ports, port)
		}
	}
	for _, a := range joined(all) {
		if a.peer.KubeAPIServer != nil && a.direction == networkingv1.PolicyTypeEgress && l.writeAPIServer(a) {
			continue
		}
		for ports := range slices.Chunk(sortedPorts(a.ports), mostOfRule) {
			a.write(ports)
		}
	}
}

// writeAPIServer declares the API server on the ports that it brings, and says whether there are no others.
func (l *learning) writeAPIServer(a *addition) bool {
	brings := func(p v1alpha1.RulePort) bool {
		return slices.ContainsFunc(append(l.env.APIServer.Endpoints, l.env.APIServer.Service), func(of expand.Listener) bool {
			return hasPorts(of.Ports, kube.Protocol(p.Protocol), p.Port.IntVal)
		})
	}
	if slices.ContainsFunc(a.ports, brings) {
		a.write(nil)
	}
	a.ports = slices.DeleteFunc(a.ports, brings)
	return len(a.ports) == 0
}

// tierBeside is the tier of an AppTier that a party is in.
func (l *learning) tierBeside(app *v1alpha1.AppTier, p party) (tierOf, bool) {
	if p.workload == nil {
		return tierOf{}, false
	}
	tiers := l.tiersOf(p.workload)
	i := slices.IndexFunc(tiers, func(t tierOf) bool { return t.app == app })
	if i < 0 {
		return tierOf{}, false
	}
	return tiers[i], true
}

// declared is the far end as a peer of the near end's AppTier.
func (l *learning) declared(h half) v1alpha1.Peer {
	switch far := h.far(); {
	case far.workload != nil && far.selector == nil: // there is none, since it has no labels
		return v1alpha1.Peer{}
	case far.workload != nil:
		pods := &v1alpha1.PodsPeer{PodSelector: *far.selector}
		if far.namespace != h.near().namespace {
			pods.NamespaceSelector = named(far.namespace)
		}
		return v1alpha1.Peer{Pods: pods}
	case far.is == Nodes:
		return v1alpha1.Peer{Nodes: &v1alpha1.NodesPeer{}}
	case far.is == APIServer:
		return v1alpha1.Peer{KubeAPIServer: &v1alpha1.KubeAPIServerPeer{}}
	case far.is == internet:
		return v1alpha1.Peer{Internet: &v1alpha1.InternetPeer{}}
	default:
		return v1alpha1.Peer{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{single(far.address)}}}
	}
}

// joined has addresses with the same ports be one peer.
func joined(all []*addition) []*addition {
	var out []*addition
	for _, a := range all {
		i := slices.IndexFunc(out, func(b *addition) bool {
			return a.peer.Networks != nil && b.peer.Networks != nil && a.tier == b.tier && a.direction == b.direction &&
				textOf(sortedPorts(a.ports)) == textOf(sortedPorts(b.ports))
		})
		if i < 0 {
			out = append(out, a)
			continue
		}
		out[i].peer.Networks.CIDRs = append(out[i].peer.Networks.CIDRs, a.peer.Networks.CIDRs...)
		slices.Sort(out[i].peer.Networks.CIDRs)
	}
	return out
}

func saidProtocol(protocol corev1.Protocol) corev1.Protocol {
	if protocol == corev1.ProtocolTCP {
		return ""
	}
	return protocol
}

func sortedPorts(ports []v1alpha1.RulePort) []v1alpha1.RulePort {
	return slices.SortedFunc(slices.Values(ports), func(a, b v1alpha1.RulePort) int {
		return cmp.Or(cmp.Compare(a.Port.IntVal, b.Port.IntVal), cmp.Compare(a.Protocol, b.Protocol))
	})
}

// write declares it in a rule for the same ports, if there is one, or else in a new one.
func (a *addition) write(ports []v1alpha1.RulePort) {
	t := a.tier.tier()
	if a.direction == networkingv1.PolicyTypeIngress {
		for i := range t.Ingress {
			rule := &t.Ingress[i]
			if !rule.AllPorts && len(rule.From) < mostOfRule && samePorts(t, rule.Ports, ports) {
				rule.From = append(rule.From, a.peer)
				return
			}
		}
		rule := v1alpha1.IngressRule{From: []v1alpha1.Peer{a.peer}, Ports: ports}
		if len(t.Ports)+len(t.Ingress) == 0 { // the tier is new, or says nothing yet
			for _, p := range ports {
				t.Ports = append(t.Ports, v1alpha1.TierPort{Port: p.Port.IntVal, Protocol: p.Protocol})
			}
		}
		if len(t.Ports) > 0 && samePorts(t, nil, ports) {
			rule.Ports = nil
		}
		t.Ingress = append(t.Ingress, rule)
		return
	}
	for i := range t.Egress {
		rule := &t.Egress[i]
		if !rule.AllPorts && len(rule.To) < mostOfRule && len(rule.Ports) == len(ports) && samePorts(t, rule.Ports, ports) {
			rule.To = append(rule.To, a.peer)
			return
		}
	}
	t.Egress = append(t.Egress, v1alpha1.EgressRule{To: []v1alpha1.Peer{a.peer}, Ports: ports})
}

// samePorts says whether a rule's ports, which are the tier's if it has none, are just these.
func samePorts(t *v1alpha1.Tier, of, ports []v1alpha1.RulePort) bool {
	keys := map[string]bool{}
	if len(of) == 0 {
		for _, p := range t.Ports {
			keys[portKey(p.Port, p.EndPort, p.Protocol)] = true
		}
	}
	for _, p := range of {
		number, protocol, end := p.Port.IntVal, p.Protocol, p.EndPort
		if p.Port.Type == intstr.String {
			i := slices.IndexFunc(t.Ports, func(named v1alpha1.TierPort) bool { return named.Name == p.Port.StrVal })
			if i < 0 {
				return false
			}
			number, end, protocol = t.Ports[i].Port, t.Ports[i].EndPort, cmp.Or(protocol, t.Ports[i].Protocol)
		}
		keys[portKey(number, end, protocol)] = true
	}
	return len(keys) == len(ports) && !slices.ContainsFunc(ports, func(p v1alpha1.RulePort) bool {
		return !keys[portKey(p.Port.IntVal, p.EndPort, p.Protocol)]
	})
}

func portKey(first int32, last *int32, protocol corev1.Protocol) string {
	return fmt.Sprint(first, ptr.Deref(last, first), kube.Protocol(protocol))
}

// splitPorts writes rules for more ports than one may have as several.
func splitPorts(app *v1alpha1.AppTier) {
	for i := range app.Spec.Tiers {
		t := &app.Spec.Tiers[i]
		var in []v1alpha1.IngressRule
		for _, rule := range t.Ingress {
			if len(rule.Ports) <= mostOfRule {
				in = append(in, rule)
				continue
			}
			for ports := range slices.Chunk(rule.Ports, mostOfRule) {
				in = append(in, v1alpha1.IngressRule{From: rule.From, Ports: ports})
			}
		}
		var out []v1alpha1.EgressRule
		for _, rule := range t.Egress {
			if len(rule.Ports) <= mostOfRule {
				out = append(out, rule)
				continue
			}
			for ports := range slices.Chunk(rule.Ports, mostOfRule) {
				out = append(out, v1alpha1.EgressRule{To: rule.To, Ports: ports})
			}
		}
		t.Ingress, t.Egress = in, out
	}
}
