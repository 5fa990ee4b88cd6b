package controllers

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/reach"
)

// parts are the values of the label by which tiers select pods. There is a pod of each, and one of
// none.
var parts = []string{"one", "two", "three"}

var snapshot = func() reach.Snapshot {
	pod := func(namespace, name string, labels map[string]string, address string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
			Spec:       corev1.PodSpec{NodeName: "n1"},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: address}}},
		}
	}
	s := reach.Snapshot{Pods: []*corev1.Pod{
		pod("app", "none", nil, "10.244.1.9"),
		pod("elsewhere", "foreign", nil, "10.244.2.1"),
		pod("kube-system", "dns", map[string]string{"k8s-app": "kube-dns"}, "10.244.2.2"),
	}}
	for i, part := range parts {
		s.Pods = append(s.Pods, pod("app", part, map[string]string{"part": part}, fmt.Sprintf("10.244.1.%d", i+1)))
	}
	return s
}()

var everyFlow = func() []reach.Flow {
	ends := []reach.Endpoint{{Address: netip.MustParseAddr("8.8.8.8")}}
	for _, pod := range snapshot.Pods {
		ends = append(ends, reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}})
	}
	var flows []reach.Flow
	for _, source := range ends {
		for _, destination := range ends {
			ports := []int32{80, 81}
			if destination.Pod.Name == "dns" {
				ports = []int32{53, 80}
			}
			for _, port := range ports {
				if source != destination {
					flows = append(flows, reach.Flow{Source: source, Destination: destination, Port: port})
				}
			}
		}
	}
	return flows
}()

// halves says of each flow of everyFlow whether its source may start it, and its destination take it.
type halves struct{ egress, ingress []bool }

// unprotected is what no policy comes to.
var unprotected = allowedBy(nil)

func allowedBy(policies []*networkingv1.NetworkPolicy) halves {
	s := snapshot
	s.Policies = policies
	evaluator := reach.New(s)
	var h halves
	for _, flow := range everyFlow {
		result := evaluator.Allowed(flow)
		h.egress = append(h.egress, result.Egress.Verdict == reach.Allow)
		h.ingress = append(h.ingress, result.Ingress.Verdict == reach.Allow)
	}
	return h
}

func appTier(spec v1alpha1.AppTierSpec) *v1alpha1.AppTier {
	return &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "x", UID: "1"}, Spec: spec}
}

// drawSpec draws an AppTier whose tiers share the parts out among them: names, and so policies,
// move from part to part as one spec follows the other.
func drawSpec(t *rapid.T, label string) *v1alpha1.AppTier {
	return rapid.Custom(func(t *rapid.T) *v1alpha1.AppTier {
		var spec v1alpha1.AppTierSpec
		spec.DNS.Mode = rapid.SampledFrom([]v1alpha1.DNSMode{v1alpha1.DNSClusterDNS, v1alpha1.DNSNone}).Draw(t, "dns")
		spec.Isolation.Scope = rapid.SampledFrom([]v1alpha1.IsolationScope{v1alpha1.ScopeNamespace, v1alpha1.ScopeTiers}).Draw(t, "scope")
		if spec.Isolation.Scope == v1alpha1.ScopeNamespace && rapid.Bool().Draw(t, "perimeter") {
			spec.Isolation.SameNamespace = v1alpha1.SameNamespaceAllow
		}
		of := map[string][]string{}
		for _, part := range parts {
			name := rapid.SampledFrom([]string{"a", "b", "c", "d", ""}).Draw(t, "tier of "+part)
			of[name] = append(of[name], part)
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			if len(of[name]) > 0 {
				spec.Tiers = append(spec.Tiers, drawTier(t, name, of[name], spec.Isolation.SameNamespace))
			}
		}
		if len(spec.Tiers) == 0 {
			spec.Isolation.Scope = v1alpha1.ScopeNamespace
		}
		for i := range spec.Tiers {
			drawRules(t, &spec.Tiers[i], spec.Tiers)
		}
		app := appTier(spec)
		if rejected := check.WithSeverity(lint.AppTier(app), check.Reject); len(rejected) > 0 {
			t.Fatalf("the generator draws invalid AppTiers: %v", rejected)
		}
		app.Spec.Mode = rapid.SampledFrom([]v1alpha1.Mode{v1alpha1.Enforce, v1alpha1.Enforce, v1alpha1.Audit}).Draw(t, "mode")
		return app
	}).Draw(t, label)
}

func drawTier(t *rapid.T, name string, of []string, same v1alpha1.SameNamespace) v1alpha1.Tier {
	directions := [][]v1alpha1.Direction{{v1alpha1.Egress}, {v1alpha1.Ingress, v1alpha1.Egress}, {v1alpha1.Ingress}}
	if same == v1alpha1.SameNamespaceAllow { // which no tier may contradict
		directions = directions[:1]
	}
	return v1alpha1.Tier{
		Name:        name,
		PodSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "part", Operator: metav1.LabelSelectorOpIn, Values: of}}},
		Ports:       []v1alpha1.TierPort{{Port: 80}},
		Isolate:     rapid.SampledFrom(directions).Draw(t, "isolate"),
	}
}

func drawRules(t *rapid.T, tier *v1alpha1.Tier, all []v1alpha1.Tier) {
	senders := []v1alpha1.Peer{
		{Everyone: &v1alpha1.EveryonePeer{}},
		{Internet: &v1alpha1.InternetPeer{}},
		{Namespaces: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "elsewhere"}}},
	}
	receivers := senders
	for i := range all {
		senders = append(senders, v1alpha1.Peer{Tier: &all[i].Name})
	}
	ports := []v1alpha1.RulePort{{Port: intstr.FromInt32(81)}}
	for range rapid.IntRange(0, 2).Draw(t, "ingress rules") {
		rule := v1alpha1.IngressRule{From: []v1alpha1.Peer{rapid.SampledFrom(senders).Draw(t, "from")}}
		if rapid.Bool().Draw(t, "other port") {
			rule.Ports = ports
		}
		tier.Ingress = append(tier.Ingress, rule)
	}
	for range rapid.IntRange(0, 2).Draw(t, "egress rules") {
		rule := v1alpha1.EgressRule{To: []v1alpha1.Peer{rapid.SampledFrom(receivers).Draw(t, "to")}, Ports: ports}
		if rapid.Bool().Draw(t, "every port") {
			rule.Ports, rule.AllPorts = nil, true
		}
		tier.Egress = append(tier.Egress, rule)
	}
}
