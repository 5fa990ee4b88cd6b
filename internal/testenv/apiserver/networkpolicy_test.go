package apiserver_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/world"
)

// What the check "invalid" refuses is what a real API server refuses: no less, so that nobody learns
// of it only when applying, and no more.
func TestInvalidIsWhatTheAPIServerRefuses(t *testing.T) {
	config, _ := apiserver.Start(t)
	config = rest.CopyConfig(config)
	config.QPS = -1
	policies := kubernetes.NewForConfigOrDie(config).NetworkingV1().NetworkPolicies(metav1.NamespaceDefault)
	count := map[bool]int{}
	for seed := range uint64(600) {
		policy := draw(rand.New(rand.NewPCG(seed, 7)))
		findings := lint.NetworkPolicy(policy, world.World{})
		invalid := slices.ContainsFunc(findings, func(f check.Finding) bool { return f.Check == netpol.Invalid })
		_, err := policies.Create(t.Context(), policy, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && !errors.IsInvalid(err) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		count[invalid]++
		if invalid != (err != nil) {
			t.Errorf("seed %d: %+v\nlint: %v\nAPI server: %v", seed, policy.Spec, findings, err)
		}
	}
	t.Logf("%d refused, %d accepted by both", count[true], count[false])
	if count[true] < 100 || count[false] < 100 {
		t.Error("too few of one kind: the comparison shows little")
	}
}

// oddity draws what may be wrong: mostly the first, which is right.
func oddity[T any](r *rand.Rand, choices ...T) T {
	if r.IntN(8) > 0 {
		return choices[0]
	}
	return choices[r.IntN(len(choices))]
}

func draw(r *rand.Rand) *networkingv1.NetworkPolicy {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Namespace: metav1.NamespaceDefault,
		Name:      oddity(r, "web", "web", "web.allow", "Web", "-web", "a_b"),
		Labels:    map[string]string{"app": oddity(r, "web", "web", "not a label")},
	}}
	policy.Spec.PodSelector = *drawSelector(r)
	policy.Spec.PolicyTypes = oddity(r,
		[]networkingv1.PolicyType{"Ingress"}, nil, []networkingv1.PolicyType{"Egress", "Ingress"},
		[]networkingv1.PolicyType{"Both"}, []networkingv1.PolicyType{"Ingress", "Ingress"}, []networkingv1.PolicyType{"Ingress", "Egress", "Ingress"})
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{drawPeer(r)}, Ports: []networkingv1.NetworkPolicyPort{drawPort(r)}}}
	if r.IntN(2) == 0 {
		policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{drawPeer(r)}, Ports: []networkingv1.NetworkPolicyPort{drawPort(r)}}}
	}
	return policy
}

func drawSelector(r *rand.Rand) *metav1.LabelSelector {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{oddity(r, "app", "example.com/app", "", "a b", "x/y/z"): oddity(r, "web", "", "not a label", "-x")}}
	if r.IntN(4) == 0 {
		operator := oddity(r, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist, metav1.LabelSelectorOpNotIn, "Is")
		values := oddity(r, []string{"a"}, nil, []string{"a", "b"}, []string{"not a label"})
		selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "tier", Operator: operator, Values: values}}
	}
	return selector
}

func drawPeer(r *rand.Rand) networkingv1.NetworkPolicyPeer {
	block := &networkingv1.IPBlock{CIDR: oddity(r, "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "", "10.0.0.1", "10.0.0.1/8", "10.00.0.0/8", "::ffff:10.0.0.0/104", "10.0.0.0/33", "x")}
	block.Except = oddity(r, nil, []string{"10.1.0.0/16"}, []string{"10.0.0.0/8"}, []string{"192.168.0.0/16"}, []string{"10.1.0.1/16"}, []string{"2001:db8:1::/48"}, []string{""}, []string{"0.0.0.0/0"})
	switch oddity(r, r.IntN(3), 3, 4) {
	case 0:
		return networkingv1.NetworkPolicyPeer{PodSelector: drawSelector(r)}
	case 1:
		return networkingv1.NetworkPolicyPeer{NamespaceSelector: drawSelector(r), PodSelector: drawSelector(r)}
	case 2:
		return networkingv1.NetworkPolicyPeer{IPBlock: block}
	case 3:
		return networkingv1.NetworkPolicyPeer{IPBlock: block, NamespaceSelector: drawSelector(r)}
	default:
		return networkingv1.NetworkPolicyPeer{}
	}
}

func drawPort(r *rand.Rand) networkingv1.NetworkPolicyPort {
	var port networkingv1.NetworkPolicyPort
	if protocol := oddity[corev1.Protocol](r, "TCP", "UDP", "SCTP", "", "tcp", "ICMP"); protocol != "" {
		port.Protocol = ptr.To(protocol)
	}
	switch oddity(r, r.IntN(2), 2, 3) {
	case 0:
		port.Port = ptr.To(intstr.FromInt32(oddity[int32](r, 80, 65535, 0, 65536, -1)))
	case 1:
		port.Port = ptr.To(intstr.FromString(oddity(r, "http", "80", "a--b", "HTTP", "a-name-that-is-too-long", "", "http_x")))
	case 2:
	case 3:
		port.Port = ptr.To(intstr.FromString(fmt.Sprint(r.IntN(100))))
	}
	if end := oddity[int32](r, -100, 8080, 79, 80, 65536, 0); end > -100 {
		port.EndPort = ptr.To(end)
	}
	return port
}
