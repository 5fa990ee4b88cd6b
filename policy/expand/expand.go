// Package expand turns an AppTier into NetworkPolicies: the one meaning of the resource, shared by
// the controller, the admission webhook and the command line.
package expand

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// Expansion is the result of Expand.
type Expansion struct {
	// Policies are sorted so that, applied in order, no declared connection is ever cut: those that
	// hold for tiers first, then the one that isolates the whole namespace.
	Policies []*networkingv1.NetworkPolicy
	// Unresolved are the references that match nothing yet, each once.
	Unresolved []Unresolved
}

// Expand returns the policies of an AppTier.
//
// The AppTier must have passed lint.AppTier. What it says otherwise is left out, never widened:
// an unknown peer matches nothing. The result is the same, byte for byte, for the
// same meaning: the order of lists in the AppTier does not matter.
func Expand(app *v1alpha1.AppTier, env Environment) Expansion {
	return newExpansion(app, env).expand()
}

func (x *expansion) expand() Expansion {
	app := x.app
	var policies []*networkingv1.NetworkPolicy
	for i := range app.Spec.Tiers {
		policies = append(policies, x.tierPolicy(i))
	}
	slices.SortFunc(policies, func(a, b *networkingv1.NetworkPolicy) int { return cmp.Compare(a.Name, b.Name) })
	if app.Spec.Isolation.Scope == v1alpha1.ScopeNamespace {
		policies = append(policies, x.namespacePolicy())
	}
	return Expansion{Policies: policies, Unresolved: x.unresolved}
}

// NetworkPolicies returns the policies of Expand.
func NetworkPolicies(app *v1alpha1.AppTier, env Environment) []*networkingv1.NetworkPolicy {
	return Expand(app, env).Policies
}

// TierPolicyName is the name of the NetworkPolicy of a tier. Both names are DNS labels, which
// have no dot, so two different pairs never have the same name.
func TierPolicyName(app, tier string) string { return app + ".tier." + tier }

// NamespacePolicyName is the name of the NetworkPolicy that isolates an AppTier's namespace.
func NamespacePolicyName(app string) string { return app + ".namespace" }

// expansion is one AppTier on its way to policies.
type expansion struct {
	app        *v1alpha1.AppTier
	env        Environment
	mesh       mesh
	tiers      map[string]keyedPeer
	ingress    [][]model.Rule // of each tier
	internet   []keyedPeer
	everyPod   common
	unresolved []Unresolved
	// origins are collected if they are not nil, and internetAt are the places of peers internet: {} then.
	origins    *[]Origin
	internetAt map[model.Place]bool
}

// common is what holds for every isolated pod of the namespace, of a tier or not.
type common struct{ ingress, egress []allowance }

type allowance struct {
	at    model.Place
	peers peerSet
	ports model.Ports
}

func newExpansion(app *v1alpha1.AppTier, env Environment) *expansion {
	x := &expansion{app: app, env: env, mesh: meshOf(app.Spec.Mesh), tiers: map[string]keyedPeer{}}
	for i, tier := range app.Spec.Tiers {
		x.tiers[tier.Name] = keyed(podsPeer(tier.PodSelector))
		x.ingress = append(x.ingress, model.RulesOf(&app.Spec, i, v1alpha1.Ingress))
	}
	x.everyPod = x.forEveryPod()
	return x
}

func (x *expansion) tierPolicy(i int) *networkingv1.NetworkPolicy {
	tier := &x.app.Spec.Tiers[i]
	policy := newPolicy(x.app, TierPolicyName(x.app.Name, tier.Name))
	policy.Labels[v1alpha1.LabelTier] = tier.Name
	policy.Spec.PodSelector = *tier.PodSelector.DeepCopy()
	// Rules of a direction that is not isolated are read too: what they refer to must be there.
	ingress, egress := x.newRuleSet(), x.newRuleSet()
	for _, rule := range x.ingress[i] {
		x.allowIngress(ingress, tier, &rule)
	}
	for _, rule := range model.RulesOf(&x.app.Spec, i, v1alpha1.Egress) {
		x.allowEgress(egress, tier, &rule)
	}
	x.allowAcceptedBy(egress, tier)
	// The policy of the namespace isolates the pods in both directions, also where the tier does not
	// ask for it: what is declared has to be granted here then.
	isolatesIngress := model.TierIsolates(tier, v1alpha1.Ingress) || model.Isolates(&x.app.Spec, tier, v1alpha1.Ingress) && !ingress.isEmpty()
	isolatesEgress := model.TierIsolates(tier, v1alpha1.Egress) || model.Isolates(&x.app.Spec, tier, v1alpha1.Egress) && !egress.isEmpty()
	x.everyPod.allow(ingress, egress)
	if isolatesIngress {
		x.isolateIngress(policy, ingress)
	}
	if isolatesEgress {
		x.isolateEgress(policy, egress)
	}
	return policy
}

func (x *expansion) allowIngress(rules *ruleSet, tier *v1alpha1.Tier, rule *model.Rule) {
	ports := rule.PortsOf(tier)
	for i := range rule.Peers {
		at := rule.PeerAt(i)
		for _, end := range x.resolve(at, &rule.Peers[i], v1alpha1.Ingress, statement{tier: tier.Name, ports: ports}) {
			x.connect(rules, at, end, ports)
		}
	}
}

func (x *expansion) allowEgress(rules *ruleSet, tier *v1alpha1.Tier, rule *model.Rule) {
	ports := rule.PortsOf(tier)
	for i := range rule.Peers {
		at := rule.PeerAt(i)
		for _, end := range x.resolve(at, &rule.Peers[i], v1alpha1.Egress,
			statement{tier: tier.Name, ports: ports, portsLeftToPeer: !rule.SaysPorts()}) {
			if rule.SaysPorts() {
				x.connect(rules, at, end, ports)
			} else {
				x.connect(rules, at, end, end.ports)
			}
		}
	}
}

// allowAcceptedBy allows the sender's half of every connection that the AppTier's tiers accept from
// this one.
func (x *expansion) allowAcceptedBy(rules *ruleSet, sender *v1alpha1.Tier) {
	for i := range x.app.Spec.Tiers {
		receiver := &x.app.Spec.Tiers[i]
		for _, rule := range x.ingress[i] {
			for i := range rule.Peers {
				if isTier(&rule.Peers[i], sender.Name) {
					x.connect(rules, rule.PeerAt(i), end{peers: peerSet{of: []keyedPeer{x.tiers[receiver.Name]}}, pods: true}, rule.PortsOf(receiver))
				}
			}
		}
	}
}

func isTier(peer *v1alpha1.Peer, name string) bool {
	return peer.Kind() == v1alpha1.TierPeerKind && *peer.Tier == name
}

// forEveryPod says what holds for every isolated pod of the namespace. A tier's policy says it too, so
// that it never needs the namespace's: what a pod may do depends on one policy alone, and changes
// with it at once.
func (x *expansion) forEveryPod() common {
	c := common{egress: x.dns()}
	isolation := x.app.Spec.Isolation
	if isolation.Scope == v1alpha1.ScopeNamespace && isolation.SameNamespace == v1alpha1.SameNamespaceAllow {
		everyPodHere := allowance{model.Setting("isolation.sameNamespace"), onePeer(podsPeer(metav1.LabelSelector{})), model.Ports{All: true}}
		c.ingress = append(c.ingress, everyPodHere)
		c.egress = append(c.egress, everyPodHere)
	}
	c.egress = append(c.egress, x.controlPlane()...)
	c.ingress = append(c.ingress, allowance{model.Setting("mesh"), hosts(x.mesh.probers), model.Ports{All: true}})
	return c
}

func (c common) allow(ingress, egress *ruleSet) {
	for _, a := range c.ingress {
		ingress.add(a.at, a.peers, a.ports)
	}
	for _, a := range c.egress {
		egress.add(a.at, a.peers, a.ports)
	}
}

// namespacePolicy isolates every pod of the namespace, in both directions.
func (x *expansion) namespacePolicy() *networkingv1.NetworkPolicy {
	policy := newPolicy(x.app, NamespacePolicyName(x.app.Name))
	ingress, egress := x.newRuleSet(), x.newRuleSet()
	x.everyPod.allow(ingress, egress)
	x.isolateIngress(policy, ingress)
	x.isolateEgress(policy, egress)
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

// isolateIngress makes the policy deny every ingress that no rule allows. A policy without the
// type Ingress would have it by default (networking/v1 NetworkPolicySpec.PolicyTypes), so the
// types are always written out.
func (x *expansion) isolateIngress(policy *networkingv1.NetworkPolicy, rules *ruleSet) {
	policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
	for i, rule := range rules.sorted() {
		x.record(policy.Name, networkingv1.PolicyTypeIngress, i, rule)
		policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: rule.peers, Ports: rule.ports})
	}
}

// isolateEgress makes the policy deny every egress that no rule allows.
func (x *expansion) isolateEgress(policy *networkingv1.NetworkPolicy, rules *ruleSet) {
	policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	for i, rule := range rules.sorted() {
		x.record(policy.Name, networkingv1.PolicyTypeEgress, i, rule)
		policy.Spec.Egress = append(policy.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: rule.peers, Ports: rule.ports})
	}
}
