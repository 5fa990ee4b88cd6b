package lint

import (
	"regexp"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/model"
)

// asPolicy is a tier as the NetworkPolicy that a person would write for it: a rule for each rule, and
// a peer for each peer. So what selectors match, and what Services and load balancers need, is asked
// by the checks of NetworkPolicies, and asked once.
type asPolicy struct {
	app    *v1alpha1.AppTier
	index  int
	policy *networkingv1.NetworkPolicy
	// ingress and egress are the rules of the tier, and then those of every tier.
	ingress, egress []model.Rule
}

// checkAsPolicies finds peers that match nobody, or nobody whom policies can tell apart, ports of
// Services, and load balancers that cannot reach their pods.
func (x *Index) checkAsPolicies(r *report, app *v1alpha1.AppTier, world World, work *Work) {
	index := x.withoutPolicies(app)
	for i := range app.Spec.Tiers {
		p := newAsPolicy(app, i, world)
		for _, finding := range judgeAsPolicy(p.policy, index, work) {
			if found, ok := p.translate(finding); ok && !slices.Contains(r.findings, found) {
				r.findings = append(r.findings, found)
			}
		}
	}
}

// withoutPolicies is the world without the policies of an AppTier as it was.
func (x *Index) withoutPolicies(app *v1alpha1.AppTier) *Index {
	here := x.at(app.Namespace)
	isOld := func(p *knownPolicy) bool { return p.Labels[v1alpha1.LabelAppTier] == app.Name }
	if !slices.ContainsFunc(here.generated, isOld) {
		return x
	}
	return x.With(map[string]World{app.Namespace: here.with(app.Name, nil)})
}

// with returns the lists of a namespace where an AppTier stands for these policies.
func (c *contents) with(app string, desired []*networkingv1.NetworkPolicy) World {
	part := World{Services: c.services, Generated: desired}
	if c.exists {
		part.Namespaces = []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: c.name, Labels: c.labels}}}
	}
	for _, pod := range c.pods {
		part.Pods = append(part.Pods, pod.Pod)
	}
	for i, policy := range c.policies {
		switch isHandWritten := i < len(c.policies)-len(c.generated); {
		case isHandWritten:
			part.Policies = append(part.Policies, policy.NetworkPolicy)
		case policy.Labels[v1alpha1.LabelAppTier] != app:
			part.Generated = append(part.Generated, policy.NetworkPolicy)
		}
	}
	return part
}

// judgeAsPolicy makes the checks that are about AppTiers too.
func judgeAsPolicy(policy *networkingv1.NetworkPolicy, index *Index, work *Work) []Finding {
	r, v := &report{}, newView(policy, index, work)
	for _, check := range all() {
		if check.Tiers {
			check.Policy(r, v)
		}
	}
	return r.findings
}

func newAsPolicy(app *v1alpha1.AppTier, index int, world World) asPolicy {
	tier := &app.Spec.Tiers[index]
	p := asPolicy{app: app, index: index, policy: &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: expand.TierPolicyName(app.Name, tier.Name)},
		Spec:       networkingv1.NetworkPolicySpec{PodSelector: tier.PodSelector},
	}}
	for _, direction := range []v1alpha1.Direction{v1alpha1.Ingress, v1alpha1.Egress} {
		if model.Isolates(&app.Spec, tier, direction) {
			p.policy.Spec.PolicyTypes = append(p.policy.Spec.PolicyTypes, networkingv1.PolicyType(direction))
		}
	}
	for _, rule := range model.RulesOf(&app.Spec, index, v1alpha1.Ingress) {
		if rule.Restricts(&app.Spec, tier) {
			p.ingress = append(p.ingress, rule)
			ports := rule.PortsOf(tier).OfPolicy()
			p.policy.Spec.Ingress = append(p.policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: p.peers(rule, world), Ports: ports})
		}
	}
	for _, rule := range model.RulesOf(&app.Spec, index, v1alpha1.Egress) {
		if rule.Restricts(&app.Spec, tier) {
			p.egress = append(p.egress, rule)
			ports := rule.PortsOf(tier).OfPolicy()
			p.policy.Spec.Egress = append(p.policy.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: p.peers(rule, world), Ports: ports})
		}
	}
	return p
}

// somewhere stands for whatever is no pod.
var somewhere = networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}

// peers are those of a rule, each in its place. What stands for no pods that are known is somewhere.
func (p asPolicy) peers(rule model.Rule, world World) []networkingv1.NetworkPolicyPeer {
	out := make([]networkingv1.NetworkPolicyPeer, len(rule.Peers))
	for i := range rule.Peers {
		out[i] = model.Visit(&rule.Peers[i], policyPeer{p.app, world})
	}
	return out
}

// policyPeer makes peers of an AppTier those of a NetworkPolicy.
type policyPeer struct {
	app   *v1alpha1.AppTier
	world World
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
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}, PodSelector: pods}
}

// policyPath is a path in the policy: of a direction, a rule, a peer or a port, and of what is in it.
var policyPath = regexp.MustCompile(`spec\.(ingress|egress)(?:\[(\d+)\](?:\.(?:from|to)\[(\d+)\](\.\w+)?|\.ports\[(\d+)\]\.port)?)?`)

// translate says of the tier what was found of the policy; false if it is no business of the tier's.
func (p asPolicy) translate(finding Finding) (Finding, bool) {
	if fix := checks[finding.Check].TierFix; fix != "" {
		finding.Fix = fix
	}
	path, ok := p.field(finding.Path)
	finding.Path = path
	finding.Message = policyPath.ReplaceAllStringFunc(finding.Message, func(text string) string { named, _ := p.field(text); return named })
	return finding, ok
}

// field returns the path of an AppTier's field that stands for one of the policy.
func (p asPolicy) field(text string) (string, bool) {
	parts := policyPath.FindStringSubmatch(text)
	if parts == nil {
		return text, false
	}
	rules := p.ingress
	if parts[1] == "egress" {
		rules = p.egress
	}
	at := func(part string) int { i, _ := strconv.Atoi(part); return i } // only digits match
	switch {
	case parts[2] == "":
		return model.Tier(p.index).Path().Child(parts[1]).String(), true
	case parts[3] != "":
		rule, i := rules[at(parts[2])], at(parts[3])
		return peerField(rule.PeerAt(i).Path().String(), rule.Peers[i], parts[4])
	case parts[5] != "":
		rule := rules[at(parts[2])]
		of := rule.At.Path()
		if len(rule.Ports) == 0 {
			of = model.Tier(p.index).Path()
		}
		// Where a rule is for every tier, some tier's pods may well listen elsewhere.
		return of.Child("ports").Index(at(parts[5])).Child("port").String(), rule.Tier != nil
	}
	return rules[at(parts[2])].At.String(), true
}

// peerField returns the path of a field of a peer; false for peers that are checked otherwise.
func peerField(path string, peer v1alpha1.Peer, selector string) (string, bool) {
	switch {
	case peer.Pods != nil:
		return path + ".pods" + selector, true
	case peer.Namespaces != nil:
		return path + ".namespaces", true
	case peer.Service != nil:
		return path + ".service", true
	default:
		return path, false
	}
}
