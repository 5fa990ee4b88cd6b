package suggest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
)

// declaredFor are the rules that open a half. A connection between tiers of one AppTier is declared at
// its receiver, between AppTiers at both.
func (q *question) declaredFor(h half) []Addition {
	home, found := h.home()
	if !found {
		if app := q.namespaceAppTier(h); app != nil {
			return []Addition{q.newTier(app, h)}
		}
		return []Addition{q.policyFor(h)}
	}
	inSame := slices.IndexFunc(h.other.tiers, func(t tierRef) bool { return t.app == home.app })
	switch {
	case inSame >= 0 && h.direction == networkingv1.PolicyTypeIngress:
		return []Addition{q.ingress(home, tierPeer(h.other.tiers[inSame]))}
	case inSame >= 0:
		return []Addition{q.ingress(h.other.tiers[inSame], tierPeer(home))}
	case len(h.other.tiers) > 0:
		other := h.other.tiers[0]
		if h.direction == networkingv1.PolicyTypeIngress {
			return []Addition{q.ingress(home, appTierPeer(other, home)), q.egress(other, appTierPeer(home, other))}
		}
		return []Addition{q.ingress(other, appTierPeer(home, other)), q.egress(home, appTierPeer(other, home))}
	case h.direction == networkingv1.PolicyTypeIngress:
		return []Addition{q.ingress(home, q.outsidePeer(h.other, h.subject))}
	default:
		return []Addition{q.egress(home, q.outsidePeer(h.other, h.subject))}
	}
}

// home is the tier of the policies that isolate the subject: its own policy, or the policy of the whole
// namespace.
func (h half) home() (tierRef, bool) {
	i := slices.IndexFunc(h.subject.tiers, func(t tierRef) bool {
		return h.isolatedBy(t.app, expand.TierPolicyName(t.app.Name, t.tier().Name)) ||
			h.isolatedBy(t.app, expand.NamespacePolicyName(t.app.Name))
	})
	if i < 0 {
		return tierRef{}, false
	}
	return h.subject.tiers[i], true
}

func (h half) isolatedBy(app *v1alpha1.AppTier, policy string) bool {
	name := kube.NameOf(app)
	name.Name = policy
	return slices.Contains(h.decision.Policies, name)
}

// namespaceAppTier is the AppTier that isolates the subject with its namespace, and that can have a tier
// for it: with sameNamespace: Allow, no tier may isolate ingress.
func (q *question) namespaceAppTier(h half) *v1alpha1.AppTier {
	for _, app := range q.AppTiers {
		isOpen := app.Spec.Isolation.SameNamespace == v1alpha1.SameNamespaceAllow
		if h.isolatedBy(app, expand.NamespacePolicyName(app.Name)) && !isOpen && len(StableLabels(h.subject.pod)) > 0 {
			return app
		}
	}
	return nil
}

func (q *question) ingress(at tierRef, from v1alpha1.Peer) Addition {
	rule := v1alpha1.IngressRule{From: []v1alpha1.Peer{from}, Ports: q.rulePorts()}
	return Addition{AppTier: kube.NameOf(at.app), Path: fmt.Sprintf("spec.tiers[%d].ingress", at.index), Tier: at.tier().Name, Item: rule}
}

func (q *question) egress(at tierRef, to v1alpha1.Peer) Addition {
	rule := v1alpha1.EgressRule{To: []v1alpha1.Peer{to}, Ports: q.rulePorts()}
	return Addition{AppTier: kube.NameOf(at.app), Path: fmt.Sprintf("spec.tiers[%d].egress", at.index), Tier: at.tier().Name, Item: rule}
}

// newTier makes the subject a tier of an AppTier that isolates it with its namespace.
func (q *question) newTier(app *v1alpha1.AppTier, h half) Addition {
	tier := v1alpha1.Tier{Name: q.tierName(app, h), PodSelector: metav1.LabelSelector{MatchLabels: StableLabels(h.subject.pod)}}
	peer := q.outsidePeer(h.other, h.subject)
	if h.direction == networkingv1.PolicyTypeIngress {
		tier.Ingress = []v1alpha1.IngressRule{{From: []v1alpha1.Peer{peer}, Ports: q.rulePorts()}}
	} else {
		tier.Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{peer}, Ports: q.rulePorts()}}
	}
	return Addition{AppTier: kube.NameOf(app), Path: "spec.tiers", Item: tier}
}

// tierName is what no tier is called, nor the one that is added for the source.
func (q *question) tierName(app *v1alpha1.AppTier, h half) string {
	name, source := baseName(h.subject.pod), q.source.pod
	if h.direction == networkingv1.PolicyTypeIngress && source != nil && source.Namespace == app.Namespace &&
		baseName(source) == name && !maps.Equal(StableLabels(source), StableLabels(h.subject.pod)) {
		name += "-2"
	}
	return freeName(app, name)
}

func freeName(app *v1alpha1.AppTier, name string) string {
	isTaken := func(name string) bool {
		return slices.ContainsFunc(app.Spec.Tiers, func(t v1alpha1.Tier) bool { return t.Name == name })
	}
	free := name
	for i := 2; isTaken(free); i++ {
		free = fmt.Sprintf("%s-%d", name, i)
	}
	return free
}

func tierPeer(t tierRef) v1alpha1.Peer { return v1alpha1.Peer{Tier: &t.tier().Name} }

// appTierPeer names a tier as another AppTier does.
func appTierPeer(t, from tierRef) v1alpha1.Peer {
	reference := v1alpha1.AppTierReference{Namespace: t.app.Namespace, Name: t.app.Name, Tier: t.tier().Name}
	if t.app.Namespace == from.app.Namespace {
		reference.Namespace = ""
	}
	return v1alpha1.Peer{AppTier: &reference}
}

// outsidePeer names an end that is no tier's: pods by their labels, the API server by its name, and
// anything else by its address.
func (q *question) outsidePeer(other, subject end) v1alpha1.Peer {
	if other.pod == nil && q.isAPIServer(other.address) {
		return v1alpha1.Peer{KubeAPIServer: &v1alpha1.KubeAPIServerPeer{}}
	}
	if other.pod == nil && q.isInternet(other.address) {
		return v1alpha1.Peer{Internet: &v1alpha1.InternetPeer{}}
	}
	if other.pod == nil {
		return v1alpha1.Peer{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{cidrOf(other)}}}
	}
	peer := &v1alpha1.PodsPeer{PodSelector: metav1.LabelSelector{MatchLabels: StableLabels(other.pod)}}
	if other.pod.Namespace != subject.pod.Namespace {
		peer.NamespaceSelector = namespaceSelector(other.pod.Namespace)
	}
	return v1alpha1.Peer{Pods: peer}
}

// isInternet says whether an address represents the internet, which it is part of.
func (q *question) isInternet(address netip.Addr) bool {
	return q.Internet && address.IsValid() && expand.IsInternet(address, q.Environment.ClusterNetworks)
}

func namespaceSelector(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: name}}
}

func (q *question) rulePorts() []v1alpha1.RulePort {
	port := v1alpha1.RulePort{Port: intstr.FromInt32(q.flow.Port)}
	if q.flow.Protocol != corev1.ProtocolTCP {
		port.Protocol = q.flow.Protocol
	}
	return []v1alpha1.RulePort{port}
}

func (a Addition) isSame(b Addition) bool {
	return a.AppTier == b.AppTier && a.Path == b.Path &&
		equality.Semantic.DeepEqual(a.Item, b.Item) && equality.Semantic.DeepEqual(a.Policy, b.Policy)
}

// isForSame says whether two additions are the same, or add the same new tier.
func (a Addition) isForSame(b Addition) bool {
	tier, isTier := a.Item.(v1alpha1.Tier)
	other, isOtherTier := b.Item.(v1alpha1.Tier)
	return a.isSame(b) || isTier && isOtherTier && a.AppTier == b.AppTier && tier.Name == other.Name
}

// merged is a new tier with the rules of two. To itself, it is its own peer.
func merged(a, b v1alpha1.Tier) v1alpha1.Tier {
	a.Ingress = append(slices.Clone(a.Ingress), b.Ingress...)
	a.Egress = append(slices.Clone(a.Egress), b.Egress...)
	return a
}

// numbered says of each list whether it is there before something is added to it.
func numbered(world World, additions []Addition) []Addition {
	seen := map[string]bool{}
	for i, a := range additions {
		if a.Policy != nil {
			continue
		}
		key := a.AppTier.String() + " " + a.Path
		additions[i].First = !seen[key] && listIsEmpty(world, a)
		seen[key] = true
	}
	return additions
}

func listIsEmpty(world World, a Addition) bool {
	for _, app := range world.AppTiers {
		if kube.NameOf(app) != a.AppTier {
			continue
		}
		if a.Tier == "" {
			return len(app.Spec.Tiers) == 0
		}
		for _, tier := range app.Spec.Tiers {
			if tier.Name == a.Tier {
				_, isIngress := a.Item.(v1alpha1.IngressRule)
				return isIngress && len(tier.Ingress) == 0 || !isIngress && len(tier.Egress) == 0
			}
		}
	}
	return false
}
