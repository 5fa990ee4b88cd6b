package webhooks_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A policy that shuts the API server out of a webhook, or of an API, is warned about for as long as there is one.
func testShutsOutTheAPIServer(t *testing.T, w *policyTest) {
	g, ctx, namespace := NewWithT(t), t.Context(), w.ledger(t)
	app := map[string]string{"app": "quota"}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "quota", Labels: app}}
	pod.Spec.Containers = []corev1.Container{{Name: "quota", Image: "quota", Ports: []corev1.ContainerPort{{ContainerPort: 9443}}}}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "quota"}}
	service.Spec = corev1.ServiceSpec{Selector: app, Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromInt32(9443)}}}
	g.Expect(w.client.Create(ctx, pod)).To(Succeed())
	g.Expect(w.client.Create(ctx, service)).To(Succeed())
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "quota"}}
	policy.Spec.PodSelector.MatchLabels = app
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: app}}}}}

	recorder, c := recordingClient(t, w.config)
	warnings := func() []string {
		recorder.warnings = nil
		g.Expect(c.Create(ctx, policy.DeepCopy(), client.DryRunAll)).To(Succeed())
		return recorder.warnings
	}
	for by, object := range map[string]client.Object{
		"ValidatingWebhookConfiguration quota-" + namespace: &admissionv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "quota-" + namespace},
			Webhooks: []admissionv1.ValidatingWebhook{{
				Name: "quota.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionv1.SideEffectClassNone),
				ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: namespace, Name: "quota"}},
			}},
		},
		"APIService v1." + namespace + ".example.com": apiService(namespace),
	} {
		warned := ContainElement(And(ContainSubstring("for "+by), HaveSuffix("(apiserver-unreachable)")))
		g.Expect(warnings()).NotTo(warned)
		g.Expect(w.client.Create(ctx, object)).To(Succeed())
		g.Eventually(warnings, 10*time.Second, 50*time.Millisecond).Should(warned, by)
		g.Expect(w.client.Delete(ctx, object)).To(Succeed())
		g.Eventually(warnings, 10*time.Second, 50*time.Millisecond).ShouldNot(warned, by)
	}
}

// The range of Services is the API server's to say.
func testAllowsTheRangeOfServices(t *testing.T, w *policyTest) {
	g, ctx, namespace := NewWithT(t), t.Context(), w.ledger(t)
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "everything"}}
	policy.Spec.PodSelector.MatchLabels = map[string]string{"app": "quota"} // of no tier
	policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.77.0.0/16"}}}}}
	recorder, c := recordingClient(t, w.config)
	warnings := func() []string {
		recorder.warnings = nil
		g.Expect(c.Create(ctx, policy.DeepCopy(), client.DryRunAll)).To(Succeed())
		return recorder.warnings
	}
	warned := ContainElement(HaveSuffix("(cluster-ip)"))
	g.Expect(warnings()).NotTo(warned)
	more := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: namespace}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.76.0.0/15"}}}
	g.Expect(w.client.Create(ctx, more)).To(Succeed())
	g.Eventually(warnings, 10*time.Second, 50*time.Millisecond).Should(warned)
	g.Expect(w.client.Delete(ctx, more)).To(Succeed())
	g.Eventually(warnings, 10*time.Second, 50*time.Millisecond).ShouldNot(warned)
}

func apiService(namespace string) client.Object {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1." + namespace + ".example.com"},
		"spec": map[string]any{
			"group": namespace + ".example.com", "version": "v1", "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"insecureSkipTLSVerify": true, "service": map[string]any{"namespace": namespace, "name": "quota"},
		},
	}}
}
