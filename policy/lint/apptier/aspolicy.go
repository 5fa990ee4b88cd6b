package apptier

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/model"
)

// checkAsPolicies finds peers that match nothing, or only pods that policies cannot distinguish from their node, ports
// of Services, and load balancers that cannot reach their pods.
func checkAsPolicies(r *check.Report, in *appView) {
	index := in.WithPolicies(in.App, nil)
	for i := range in.App.Spec.Tiers {
		policy, places := asPolicy(in.App, i, in.world)
		for _, finding := range netpol.JudgeTier(index, policy, places, in.work) {
			if !slices.Contains(r.Findings, finding) { // each tier has the findings of everyTier
				r.Findings = append(r.Findings, finding)
			}
		}
	}
}

// asPolicy is a tier as the NetworkPolicy that a person would write for it: a rule for each rule, and a peer for each
// peer. So the checks of NetworkPolicies also check what selectors match, and what Services and load balancers need. A
// peer that matches no known pods becomes somewhere.
func asPolicy(app *v1alpha1.AppTier, index int, w world.World) (*networkingv1.NetworkPolicy, inTier) {
	tier := &app.Spec.Tiers[index]
	places, policy := inTier{tier: index}, &networkingv1.NetworkPolicy{}
	policy.Namespace, policy.Name = app.Namespace, expand.TierPolicyName(app.Name, tier.Name)
	spec := &policy.Spec
	spec.PodSelector = tier.PodSelector
	for _, direction := range []v1alpha1.Direction{v1alpha1.Ingress, v1alpha1.Egress} {
		if model.Isolates(&app.Spec, tier, direction) {
			spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyType(direction))
		}
		for _, rule := range model.RulesOf(&app.Spec, index, direction) {
			if !rule.Restricts(&app.Spec, tier) {
				continue
			}
			peers, ports := make([]networkingv1.NetworkPolicyPeer, len(rule.Peers)), rule.PortsOf(tier).OfPolicy()
			for i := range rule.Peers {
				peers[i] = model.Visit(&rule.Peers[i], policyPeer{app, w})
			}
			if direction == v1alpha1.Ingress {
				places.ingress = append(places.ingress, rule)
				spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: peers, Ports: ports})
			} else {
				places.egress = append(places.egress, rule)
				spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: peers, Ports: ports})
			}
		}
	}
	return policy, places
}

// somewhere replaces each peer that is not pods.
var somewhere = networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}

// policyPeer converts peers of an AppTier to peers of a NetworkPolicy.
type policyPeer struct {
	app   *v1alpha1.AppTier
	world world.World
}

func (policyPeer) Pods(peer *v1alpha1.PodsPeer) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: peer.NamespaceSelector, PodSelector: &peer.PodSelector}
}

func (policyPeer) Namespaces(selector *metav1.LabelSelector) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: selector}
}

func (p policyPeer) Tier(name string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: &model.TierNamed(&p.app.Spec, name).PodSelector}
}

func (p policyPeer) AppTier(reference *v1alpha1.AppTierReference) networkingv1.NetworkPolicyPeer {
	return podsOf(model.Key(p.app, reference.Namespace, reference.Name).Namespace, nil)
}

func (p policyPeer) Service(reference *v1alpha1.ServiceReference) networkingv1.NetworkPolicyPeer {
	key := model.Key(p.app, reference.Namespace, reference.Name)
	i := slices.IndexFunc(p.world.Services, func(s *corev1.Service) bool { return s.Namespace == key.Namespace && s.Name == key.Name })
	if i < 0 || len(p.world.Services[i].Spec.Selector) == 0 {
		return somewhere
	}
	return podsOf(key.Namespace, &metav1.LabelSelector{MatchLabels: p.world.Services[i].Spec.Selector})
}

func (policyPeer) Networks(*v1alpha1.NetworksPeer) networkingv1.NetworkPolicyPeer { return somewhere }
func (policyPeer) Internet() networkingv1.NetworkPolicyPeer                       { return somewhere }
func (policyPeer) Everyone() networkingv1.NetworkPolicyPeer                       { return somewhere }
func (policyPeer) Nodes() networkingv1.NetworkPolicyPeer                          { return somewhere }
func (policyPeer) KubeAPIServer() networkingv1.NetworkPolicyPeer                  { return somewhere }
func (policyPeer) Nobody() networkingv1.NetworkPolicyPeer                         { return somewhere }

func podsOf(namespace string, pods *metav1.LabelSelector) networkingv1.NetworkPolicyPeer {
	named := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: named, PodSelector: pods}
}
