// Package expand turns an AppTier into NetworkPolicies: the one meaning of the resource, shared by
// the controller, the admission webhook and the command line.
package expand

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// NetworkPolicies returns the policies that an AppTier stands for, sorted so that, applied in
// order, no declared connection is ever cut: those that hold for tiers first, then the one that
// isolates the whole namespace.
//
// The AppTier must have passed lint.AppTier. What it says otherwise is left out, never widened:
// a peer that is not understood stands for nobody. The result is the same, byte for byte, for the
// same meaning: the order of lists in the AppTier does not matter.
func NetworkPolicies(app *v1alpha1.AppTier, env Environment) []*networkingv1.NetworkPolicy {
	var policies []*networkingv1.NetworkPolicy
	tiers := slices.SortedFunc(slices.Values(app.Spec.Tiers), func(a, b v1alpha1.Tier) int {
		return cmp.Compare(a.Name, b.Name)
	})
	for i := range tiers {
		policies = append(policies, tierPolicy(app, &tiers[i], env))
	}
	if app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace {
		policies = append(policies, namespacePolicy(app, env))
	}
	return policies
}

// TierPolicyName is the name of the NetworkPolicy of a tier. Both names are DNS labels, which
// have no dot, so two different pairs never have the same name.
func TierPolicyName(app, tier string) string { return app + ".tier." + tier }

// NamespacePolicyName is the name of the NetworkPolicy that isolates an AppTier's namespace.
func NamespacePolicyName(app string) string { return app + ".namespace" }

func tierPolicy(app *v1alpha1.AppTier, tier *v1alpha1.Tier, env Environment) *networkingv1.NetworkPolicy {
	policy := newPolicy(app, TierPolicyName(app.Name, tier.Name))
	policy.Labels[v1alpha1.LabelTier] = tier.Name
	policy.Spec.PodSelector = *tier.PodSelector.DeepCopy()
	if isolates(tier, v1alpha1.Ingress) {
		rules := newRuleSet()
		for _, rule := range ingressRules(app, tier) {
			rules.add(peers(app, rule.From, env), ingressPorts(tier, rule))
		}
		isolateIngress(policy, rules)
	}
	if isolates(tier, v1alpha1.Egress) {
		rules := newRuleSet()
		for _, rule := range egressRules(app, tier) {
			rules.add(peers(app, rule.To, env), rulePorts(nil, rule.Ports, rule.AllPorts))
		}
		addAcceptedBy(rules, app, tier)
		addDNS(rules, app, env)
		isolateEgress(policy, rules)
	}
	return policy
}

// ingressRules are a tier's own rules and those of every tier.
func ingressRules(app *v1alpha1.AppTier, tier *v1alpha1.Tier) []v1alpha1.IngressRule {
	if app.Spec.EveryTier == nil {
		return tier.Ingress
	}
	return slices.Concat(tier.Ingress, app.Spec.EveryTier.Ingress)
}

// egressRules are a tier's own rules and those of every tier.
func egressRules(app *v1alpha1.AppTier, tier *v1alpha1.Tier) []v1alpha1.EgressRule {
	if app.Spec.EveryTier == nil {
		return tier.Egress
	}
	return slices.Concat(tier.Egress, app.Spec.EveryTier.Egress)
}

// addAcceptedBy adds the sender's half of every connection that the AppTier's tiers accept from
// this one.
func addAcceptedBy(rules *ruleSet, app *v1alpha1.AppTier, sender *v1alpha1.Tier) {
	for i := range app.Spec.Tiers {
		receiver := &app.Spec.Tiers[i]
		for _, rule := range ingressRules(app, receiver) {
			if slices.ContainsFunc(rule.From, func(p v1alpha1.Peer) bool { return isTier(p, sender.Name) }) {
				rules.add(peerSet{of: []networkingv1.NetworkPolicyPeer{podsPeer(receiver.PodSelector)}}, ingressPorts(receiver, rule))
			}
		}
	}
}

func isTier(peer v1alpha1.Peer, name string) bool { return peer.Tier != nil && *peer.Tier == name }

// namespacePolicy isolates every pod of the namespace, in both directions.
func namespacePolicy(app *v1alpha1.AppTier, env Environment) *networkingv1.NetworkPolicy {
	policy := newPolicy(app, NamespacePolicyName(app.Name))
	ingress, egress := newRuleSet(), newRuleSet()
	if app.Spec.Isolation.SameNamespace == v1alpha1.SameNamespaceAllow {
		everyPodHere := peerSet{of: []networkingv1.NetworkPolicyPeer{podsPeer(metav1.LabelSelector{})}}
		ingress.add(everyPodHere, portSet{all: true})
		egress.add(everyPodHere, portSet{all: true})
	}
	addDNS(egress, app, env)
	isolateIngress(policy, ingress)
	isolateEgress(policy, egress)
	return policy
}

func newPolicy(app *v1alpha1.AppTier, name string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{
			Name:      name,
			Namespace: app.Namespace,
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
				v1alpha1.LabelAppTier:   app.Name,
			},
		},
	}
}

// isolateIngress makes the policy deny every ingress but that of the rules. A policy without the
// type Ingress would have it by default (networking/v1 NetworkPolicySpec.PolicyTypes), so the
// types are always written out.
func isolateIngress(policy *networkingv1.NetworkPolicy, rules *ruleSet) {
	policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
	for _, rule := range rules.sorted() {
		policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: rule.peers, Ports: rule.ports})
	}
}

// isolateEgress makes the policy deny every egress but that of the rules.
func isolateEgress(policy *networkingv1.NetworkPolicy, rules *ruleSet) {
	policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	for _, rule := range rules.sorted() {
		policy.Spec.Egress = append(policy.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: rule.peers, Ports: rule.ports})
	}
}

// isolates says whether a tier's pods are denied what is not declared in a direction; unset means
// both directions.
func isolates(tier *v1alpha1.Tier, direction v1alpha1.Direction) bool {
	return len(tier.Isolate) == 0 || slices.Contains(tier.Isolate, direction)
}
