package learn

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// policies are what the workloads were seen to do that are in no tier, each as a policy that allows just this.
func (l *learning) policies(flows []*flow) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	byWorkload := map[string]*networkingv1.NetworkPolicy{}
	of := func(p party) *networkingv1.NetworkPolicy {
		if !l.isLearned(p) || len(l.tiersOf(p.workload)) > 0 {
			return nil
		}
		key := p.namespace + textOf(p.selector)
		if byWorkload[key] == nil {
			policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: fmt.Sprintf("learned-%d", len(out)+1)}}
			policy.Spec.PodSelector = *p.selector
			policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
			policy.Spec.Egress = l.dnsRules(p.namespace)
			byWorkload[key] = policy
			out = append(out, policy)
		}
		return byWorkload[key]
	}
	for _, f := range flows {
		from, to := of(f.from), of(f.to)
		port := []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(f.protocol), Port: ptr.To(intstr.FromInt32(f.port))}}
		if peers := l.peers(f, f.from, f.to); to != nil && len(peers) > 0 {
			to.Spec.Ingress = append(to.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: peers, Ports: port})
		}
		if peers := l.peers(f, f.to, f.from); from != nil && len(peers) > 0 && !f.dns {
			from.Spec.Egress = append(from.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: peers, Ports: port})
		}
	}
	return out
}

// dnsRules are what spec.dns allows by default.
func (l *learning) dnsRules(namespace string) []networkingv1.NetworkPolicyEgressRule {
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}}
	app.Spec.Isolation.Scope = v1alpha1.ScopeNamespace
	var out []networkingv1.NetworkPolicyEgressRule
	for _, policy := range expand.NetworkPolicies(app, l.in.Environment) {
		out = append(out, policy.Spec.Egress...)
	}
	return out
}

// peers are a party as policies of another have it; none for what only an AppTier can name, and for tiers of an AppTier
// that the other joins.
func (l *learning) peers(f *flow, p, near party) []networkingv1.NetworkPolicyPeer {
	switch {
	case p.workload == nil && p.is == internet:
		return expand.Internet(l.in.Environment.ClusterNetworks)
	case p.workload == nil && p.is == "":
		var out []networkingv1.NetworkPolicyPeer
		for _, address := range f.sortedAddresses() {
			out = append(out, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: single(address)}})
		}
		return out
	case p.workload == nil || p.selector == nil:
		return nil
	case near.workload != nil && l.joins(near, p):
		return nil
	case near.workload != nil && near.namespace == p.namespace:
		return []networkingv1.NetworkPolicyPeer{{PodSelector: p.selector}}
	default:
		return []networkingv1.NetworkPolicyPeer{{NamespaceSelector: named(p.namespace), PodSelector: p.selector}}
	}
}

func single(address netip.Addr) string { return netip.PrefixFrom(address, address.BitLen()).String() }

func (f *flow) sortedAddresses() []netip.Addr {
	var out []netip.Addr
	for address := range f.addresses {
		out = append(out, address)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// textOf is a text that is the same for values of the same meaning.
func textOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // plain data always marshals
		panic(fmt.Sprintf("marshalling %T: %v", v, err))
	}
	return string(text)
}
