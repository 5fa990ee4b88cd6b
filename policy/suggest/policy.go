package suggest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/widening"
	"github.com/apptier/apptier/policy/lint/world"
)

// policyFor is a NetworkPolicy that opens a half. It selects none but pods that one of the policies
// which isolate the subject selects, and so isolates nobody anew.
func (q *question) policyFor(h half) Addition {
	policy := &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Namespace: h.subject.pod.Namespace, Name: q.freePolicyName(h)},
		Spec:       networkingv1.NetworkPolicySpec{PodSelector: q.subjectSelector(h), PolicyTypes: []networkingv1.PolicyType{h.direction}},
	}
	if slices.ContainsFunc(q.isolating(h), world.IsGenerated) {
		policy.Annotations = map[string]string{widening.Annotation: fmt.Sprintf("lets %s, which no AppTier declares", q.deed())}
	}
	peers := []networkingv1.NetworkPolicyPeer{policyPeer(h.other, h.subject)}
	if h.other.pod == nil && q.isInternet(h.other.address) {
		peers = expand.Internet(q.Environment.ClusterNetworks)
	}
	ports := []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(q.protocol()), Port: ptr.To(intstr.FromInt32(q.flow.Port))}}
	if h.direction == networkingv1.PolicyTypeIngress {
		policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: ports}}
	} else {
		policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: peers, Ports: ports}}
	}
	return Addition{Policy: policy}
}

func (q *question) protocol() corev1.Protocol {
	return kube.Protocol(q.flow.Protocol)
}

func (q *question) deed() string {
	return fmt.Sprintf("%s reach %s on %s %d", q.source.words(), q.destination.words(), q.protocol(), q.flow.Port)
}

func (e end) words() string {
	if e.pod == nil {
		return e.address.String()
	}
	return e.pod.Namespace + "/" + baseName(e.pod)
}

// isolating are the policies that isolate the subject, by name.
func (q *question) isolating(h half) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, name := range h.decision.Policies {
		for _, policy := range q.Snapshot.Policies {
			if policy.Namespace == name.Namespace && policy.Name == name.Name {
				out = append(out, policy)
			}
		}
	}
	return out
}

// subjectSelector selects what has the subject's labels and is selected by a policy that isolates it.
func (q *question) subjectSelector(h half) metav1.LabelSelector {
	selector := metav1.LabelSelector{MatchLabels: StableLabels(h.subject.pod)}
	by := q.isolating(h)[0].Spec.PodSelector // any will do
	for key, value := range by.MatchLabels {
		selector.MatchLabels[key] = value
	}
	for _, requirement := range by.MatchExpressions {
		if _, decided := selector.MatchLabels[requirement.Key]; !decided {
			selector.MatchExpressions = append(selector.MatchExpressions, *requirement.DeepCopy())
		}
	}
	if q.sparesTiers {
		q.spareTiers(&selector, h.subject)
	}
	return selector
}

// spareTiers leaves out the pods of tiers that the subject is not in, by a label that it does not have.
func (q *question) spareTiers(selector *metav1.LabelSelector, subject end) {
	for _, app := range q.AppTiers {
		if app.Namespace != subject.pod.Namespace {
			continue
		}
		for i := range app.Spec.Tiers {
			wanted := app.Spec.Tiers[i].PodSelector.MatchLabels
			for _, key := range slices.Sorted(maps.Keys(wanted)) {
				if subject.pod.Labels[key] == wanted[key] {
					continue
				}
				if _, decided := selector.MatchLabels[key]; !decided {
					selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
						Key: key, Operator: metav1.LabelSelectorOpNotIn, Values: []string{wanted[key]},
					})
				}
				break
			}
		}
	}
}

func policyPeer(other, subject end) networkingv1.NetworkPolicyPeer {
	if other.pod == nil {
		return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidrOf(other)}}
	}
	peer := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: StableLabels(other.pod)}}
	if other.pod.Namespace != subject.pod.Namespace {
		peer.NamespaceSelector = namespaceSelector(other.pod.Namespace)
	}
	return peer
}

// cidrOf is one address as a range; not a valid one if there is none, which then allows nothing.
func cidrOf(e end) string { return netip.PrefixFrom(e.address, e.address.BitLen()).String() }

// freePolicyName is what no policy of the namespace is called.
func (q *question) freePolicyName(h half) string {
	direction, port := strings.ToLower(string(h.direction)), strings.ToLower(fmt.Sprintf("%s%d", q.protocol(), q.flow.Port))
	name := fmt.Sprintf("%s-%s-%s", direction, baseName(h.subject.pod), port)
	free := "allow-" + name
	for i := 2; slices.ContainsFunc(q.Snapshot.Policies, func(p *networkingv1.NetworkPolicy) bool {
		return p.Namespace == h.subject.pod.Namespace && p.Name == free
	}); i++ {
		free = fmt.Sprintf("allow-%s-%d", name, i)
	}
	return free
}
