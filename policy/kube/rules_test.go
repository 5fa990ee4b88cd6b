package kube_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

func TestReadPolicy(t *testing.T) {
	for _, test := range []struct{ name, spec, want string }{
		{"it isolates, which is a rule", `{podSelector: {matchLabels: {app: db}}}`, `
			shop/p of tier namespace is about pods (app=db) of namespace shop
			ingress implicit 1: deny everyone at every port`},
		{"what it allows comes before", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 10.1.2.3/8, except: [10.9.0.0/16]}}],
			ports: [{port: 80, endPort: 90}, {protocol: UDP, port: dns}]}, {}]}`, `
			shop/p of tier namespace is about pods (all) of namespace shop
			ingress [0] 0: allow pods (app=web) of namespace shop or 10.0.0.0/8 except 10.9.0.0/16 at TCP 80-90 or UDP dns
			ingress [1] 0: allow everyone at every port
			ingress implicit 1: deny everyone at every port`},
		{"both directions", `{podSelector: {}, egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}], ports: [{protocol: SCTP}]}]}`, `
			shop/p of tier namespace is about pods (all) of namespace shop
			ingress implicit 1: deny everyone at every port
			egress [0] 0: allow pods (app=db) of namespaces (all) at SCTP 1-65535
			egress implicit 1: deny everyone at every port`},
		{"rules of a direction that it is not about are dead", `{podSelector: {}, policyTypes: [Egress], ingress: [{}]}`, `
			shop/p of tier namespace is about pods (all) of namespace shop
			egress implicit 1: deny everyone at every port`},
		{"what cannot be read matches nothing", `{podSelector: {}, ingress: [{from: [{}], ports: [{endPort: 9}]}]}`, `
			shop/p of tier namespace is about pods (all) of namespace shop
			ingress [0] 0: allow no pod at no port
			ingress implicit 1: deny everyone at every port
			ingress[0].from[0]: needs a podSelector, a namespaceSelector or an ipBlock
			ingress[0].ports[0]: endPort needs a port`},
		{"if nobody can say whom it is about, it is about all and allows nothing", `{podSelector: {matchLabels: {app: "no/value"}}, ingress: [{}]}`, `
			shop/p of tier namespace is about pods (all) of namespace shop
			ingress implicit 1: deny everyone at every port
			podSelector: values[0][app]: Invalid value: "no/value":`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var spec networkingv1.NetworkPolicySpec
			if err := yaml.UnmarshalStrict([]byte(test.spec), &spec); err != nil {
				t.Fatal(err)
			}
			p := kube.ReadPolicy(types.NamespacedName{Namespace: "shop", Name: "p"}, &spec)
			if want := strings.ReplaceAll(strings.TrimSpace(test.want), "\t", ""); !strings.HasPrefix(p.String(), want) {
				t.Errorf("got\n%s\nwant\n%s", p.String(), want)
			}
		})
	}
}

// Whatever a policy says, readable or not, policy/reach reads the same rules of it.
func TestReachReadsTheSameRules(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		policy := reachtest.Policy("p").Draw(t, "policy")
		policy.Namespace = "shop"
		for range rapid.IntRange(0, 3).Draw(t, "spoilt parts") {
			spoil(t, policy)
		}
		p := kube.ReadPolicy(types.NamespacedName{Namespace: "shop", Name: policy.Name}, &policy.Spec)
		second := reach.Read(policy)
		if got, want := p.String(), second.String(); got != want {
			t.Fatalf("got\n%s\nreach reads\n%s", got, want)
		}
		for _, problem := range p.Problems {
			seen[strings.TrimRight(problem.Path, "[0123456789]")]++
		}
	})
	t.Log(seen)
	for _, path := range []string{"podSelector", "ingress[0].from", "ingress[0].ports", "egress[0].to", "egress[0].ports"} {
		if !testing.Short() && seen[path] == 0 { // a fifth of the draws may well miss one
			t.Errorf("nothing was wrong with %s", path)
		}
	}
}

// spoil makes a part of a policy one that cannot be read.
func spoil(t *rapid.T, policy *networkingv1.NetworkPolicy) {
	near := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Near"}}}
	peer := rapid.SampledFrom([]networkingv1.NetworkPolicyPeer{
		{}, {PodSelector: near}, {NamespaceSelector: near}, {IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0"}},
		{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8", Except: []string{"10"}}},
		{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}, PodSelector: &metav1.LabelSelector{}},
	}).Draw(t, "peer")
	port := rapid.SampledFrom([]networkingv1.NetworkPolicyPort{
		{EndPort: ptr.To[int32](9)}, {Port: ptr.To(intstr.FromInt32(9)), EndPort: ptr.To[int32](8)}, {Port: ptr.To(intstr.FromString(""))},
		{Port: ptr.To(intstr.FromString("a")), EndPort: ptr.To[int32](8)}, {Port: ptr.To(intstr.FromInt32(0))},
		{Port: ptr.To(intstr.FromInt32(-3)), EndPort: ptr.To[int32](70_000)}, {Protocol: ptr.To(corev1.Protocol("ICMP"))},
	}).Draw(t, "port")
	switch spec := &policy.Spec; rapid.IntRange(0, 9).Draw(t, "part") {
	case 0:
		spec.PodSelector = *near
	case 1:
		spec.PolicyTypes = append(spec.PolicyTypes, "Sideways")
	case 2, 3:
		spec.Ingress = slices.Insert(spec.Ingress, 0, networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{peer}})
	case 4, 5:
		spec.Egress = slices.Insert(spec.Egress, 0, networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{peer}})
	case 6, 7:
		spec.Ingress = slices.Insert(spec.Ingress, 0, networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{port}})
	default:
		spec.Egress = slices.Insert(spec.Egress, 0, networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{port}})
	}
}
