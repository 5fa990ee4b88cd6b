package learn

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
)

// groundsOf are what the rules of an AppTier rest on; of one that was there, the rules that were added.
func (l *learning) groundsOf(app *v1alpha1.AppTier, flows []*flow, wasThere bool) []Ground {
	var out []Ground
	if every := app.Spec.EveryTier; every != nil {
		out = l.groundsOfRules(app, nil, "spec.everyTier", every.Ingress, every.Egress, flows)
	}
	for i := range app.Spec.Tiers {
		t := &app.Spec.Tiers[i]
		out = append(out, l.groundsOfRules(app, t, fmt.Sprintf("spec.tiers[%d]", i), t.Ingress, t.Egress, flows)...)
	}
	if !wasThere {
		for i := range out {
			out[i].Added = false
		}
		return out
	}
	return slices.DeleteFunc(out, func(g Ground) bool { return !g.Added })
}

// groundsOfRules are those of the rules of a tier, or of every tier, which is nil.
func (l *learning) groundsOfRules(
	app *v1alpha1.AppTier, t *v1alpha1.Tier, path string, in []v1alpha1.IngressRule, to []v1alpha1.EgressRule, flows []*flow,
) []Ground {
	var out []Ground
	for i, rule := range in {
		ports := rulePorts(t, rule.Ports)
		if rule.AllPorts {
			ports = nil
		}
		out = append(out, l.grounds(app, t, networkingv1.PolicyTypeIngress, fmt.Sprintf("%s.ingress[%d]", path, i), rule.From, ports, flows)...)
	}
	for i, rule := range to {
		out = append(out, l.grounds(app, t, networkingv1.PolicyTypeEgress, fmt.Sprintf("%s.egress[%d]", path, i), rule.To, rule.Ports, flows)...)
	}
	return out
}

// rulePorts are the ports of a rule by their numbers: those of the tier, if it has none.
func rulePorts(t *v1alpha1.Tier, of []v1alpha1.RulePort) []v1alpha1.RulePort {
	if t == nil || len(of) > 0 && !slices.ContainsFunc(of, func(p v1alpha1.RulePort) bool { return p.Port.StrVal != "" }) {
		return of
	}
	var out []v1alpha1.RulePort
	for _, p := range t.Ports {
		isNamed := func(r v1alpha1.RulePort) bool {
			return r.Port.StrVal == p.Name && p.Name != "" || r.Port.StrVal == "" && r.Port.IntVal == p.Port
		}
		if len(of) == 0 || slices.ContainsFunc(of, isNamed) {
			out = append(out, v1alpha1.RulePort{Port: intstr.FromInt32(p.Port), EndPort: p.EndPort, Protocol: p.Protocol})
		}
	}
	return out
}

func (l *learning) grounds(
	app *v1alpha1.AppTier, t *v1alpha1.Tier, direction networkingv1.PolicyType, path string, peers []v1alpha1.Peer,
	ports []v1alpha1.RulePort, flows []*flow,
) []Ground {
	var out []Ground
	for _, peer := range peers {
		said := peerWords(&peer)
		for _, f := range flows {
			h := half{f, direction}
			isOf := func(of tierOf) bool { return of.app == app && (t == nil || of.tier().Name == t.Name) }
			if h.near().workload == nil || !slices.ContainsFunc(l.tiersOf(h.near().workload), isOf) ||
				!hasPort(ports, f) || !l.matches(app, &peer, h) {
				continue
			}
			one := Ground{AppTier: kube.NameOf(app), Direction: direction, Path: path, Peer: said, Protocol: f.protocol, Port: f.port}
			if t != nil {
				one.Tier = t.Name
			}
			i := slices.IndexFunc(out, func(g Ground) bool { return g.Peer == said && g.Protocol == f.protocol && g.Port == f.port })
			if i < 0 {
				i = len(out)
				out = append(out, one)
			}
			out[i].Seen = out[i].Seen.with(f.seen())
			out[i].Added = out[i].Added || f.added
		}
	}
	for i := range out {
		out[i].Doubtful = out[i].Seen.Count < l.in.MinCount
	}
	return out
}

// hasPort says whether a flow is on one of some ports; on any, if there are none.
func hasPort(ports []v1alpha1.RulePort, f *flow) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p v1alpha1.RulePort) bool {
		return kube.Protocol(p.Protocol) == f.protocol && p.Port.IntVal <= f.port && f.port <= ptr.Deref(p.EndPort, p.Port.IntVal)
	})
}

// matches says whether a peer of an AppTier is the far end of a half.
func (l *learning) matches(app *v1alpha1.AppTier, peer *v1alpha1.Peer, h half) bool {
	far := h.far()
	isTier := func(namespace, name, tier string) bool {
		return far.workload != nil && slices.ContainsFunc(l.tiersOf(far.workload), func(t tierOf) bool {
			return t.app.Namespace == namespace && t.app.Name == name && t.tier().Name == tier
		})
	}
	switch peer.Kind() {
	case v1alpha1.TierPeerKind:
		return isTier(app.Namespace, app.Name, *peer.Tier)
	case v1alpha1.AppTierPeerKind:
		namespace := app.Namespace
		if peer.AppTier.Namespace != "" {
			namespace = peer.AppTier.Namespace
		}
		return isTier(namespace, peer.AppTier.Name, peer.AppTier.Tier)
	case v1alpha1.PodsPeerKind:
		return far.workload != nil && l.isPods(app.Namespace, peer.Pods, far)
	case v1alpha1.NamespacesPeerKind:
		return far.workload != nil && l.isIn(peer.Namespaces, far.namespace)
	case v1alpha1.NetworksPeerKind:
		return far.workload == nil && h.allAddresses(func(a netip.Addr) bool { return isWithin(peer.Networks, a) })
	case v1alpha1.InternetPeerKind:
		return far.workload == nil && far.is != Nodes && far.is != APIServer &&
			h.allAddresses(func(a netip.Addr) bool { return expand.IsInternet(a, l.in.Environment.ClusterNetworks) })
	case v1alpha1.EveryonePeerKind:
		return true
	case v1alpha1.NodesPeerKind:
		return far.workload == nil && far.is == Nodes
	case v1alpha1.KubeAPIServerPeerKind:
		return far.workload == nil && far.is == APIServer
	case v1alpha1.ServicePeerKind:
		return far.workload != nil && l.isService(app.Namespace, peer.Service, far)
	default:
		return false
	}
}

func (f *flow) allAddresses(are func(netip.Addr) bool) bool {
	for address := range f.addresses {
		if !are(address) {
			return false
		}
	}
	return len(f.addresses) > 0
}

func isWithin(networks *v1alpha1.NetworksPeer, address netip.Addr) bool {
	contains := func(text string) bool {
		cidr, err := kube.ParseCIDR(text)
		return err == nil && cidr.Contains(address)
	}
	return slices.ContainsFunc(networks.CIDRs, contains) && !slices.ContainsFunc(networks.Except, contains)
}

func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	matches, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && matches.Matches(set)
}

func (l *learning) isPods(namespace string, pods *v1alpha1.PodsPeer, far party) bool {
	isThere := far.namespace == namespace
	if pods.NamespaceSelector != nil {
		isThere = l.isIn(pods.NamespaceSelector, far.namespace)
	}
	return isThere && selects(&pods.PodSelector, far.labels)
}

// isIn says whether a namespace has the labels that a selector asks for. Of one that is not given, only the name is known:
// it is in no selector that asks for more.
func (l *learning) isIn(selector *metav1.LabelSelector, name string) bool {
	i := slices.IndexFunc(l.in.Namespaces, func(n *corev1.Namespace) bool { return n.Name == name })
	if i >= 0 {
		return selects(selector, labels.Merge(l.in.Namespaces[i].Labels, named(name).MatchLabels))
	}
	asks, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false
	}
	requirements, _ := asks.Requirements()
	asksMore := slices.ContainsFunc(requirements, func(r labels.Requirement) bool { return r.Key() != corev1.LabelMetadataName })
	return !asksMore && asks.Matches(labels.Set(named(name).MatchLabels))
}

func (l *learning) isService(namespace string, reference *v1alpha1.ServiceReference, far party) bool {
	for _, service := range l.in.Services {
		isNamed := service.Name == reference.Name && service.Namespace == cmp.Or(reference.Namespace, namespace)
		if isNamed && far.namespace == service.Namespace && kube.Selects(service, far.pod) {
			return true
		}
	}
	return false
}

// peerWords are what people know a peer by.
func peerWords(peer *v1alpha1.Peer) string {
	switch peer.Kind() {
	case v1alpha1.TierPeerKind:
		return *peer.Tier
	case v1alpha1.AppTierPeerKind:
		return strings.TrimPrefix(peer.AppTier.Namespace+"/"+peer.AppTier.Name+"/"+peer.AppTier.Tier, "/")
	case v1alpha1.PodsPeerKind:
		text := metav1.FormatLabelSelector(&peer.Pods.PodSelector)
		if in := peer.Pods.NamespaceSelector; in != nil {
			for _, name := range in.MatchLabels {
				text = name + "/" + text
			}
		}
		return text
	case v1alpha1.NetworksPeerKind:
		return addressWords(peer.Networks.CIDRs)
	case v1alpha1.InternetPeerKind:
		return "the internet"
	case v1alpha1.NodesPeerKind:
		return "nodes"
	case v1alpha1.KubeAPIServerPeerKind:
		return "the API server"
	default:
		return string(peer.Kind())
	}
}

// mostNamed is how many addresses words name.
const mostNamed = 3

func addressWords(cidrs []string) string {
	var out []string
	for _, text := range cidrs {
		if cidr, err := kube.ParseCIDR(text); err == nil && cidr.IsSingleIP() {
			text = cidr.Addr().String()
		}
		out = append(out, text)
	}
	if len(out) > mostNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(out[:mostNamed-1], ", "), len(out)-mostNamed+1)
	}
	return strings.Join(out, ", ")
}
