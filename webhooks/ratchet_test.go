package webhooks_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/widening"
)

// before136 has the API server take address ranges in the forms that were usual before Kubernetes 1.36.
func before136(e *envtest.Environment, _ string) {
	e.ControlPlane.GetAPIServer().Configure().Append("feature-gates", "StrictIPCIDRValidation=false")
}

// What was stored before a check came can be changed, as long as what is refused of it stays as it was.
func TestRatchet(t *testing.T) {
	config := startWebhooks(t, before136)
	w := &policyTest{config: config, client: newClient(t, config)}
	t.Run("an old range of a policy is no reason to refuse", func(t *testing.T) { testOldRange(t, w) })
	t.Run("behind an old range everything else is judged", func(t *testing.T) { testBehindOldRange(t, w) })
	t.Run("an older widening stays, and becomes no wider", func(t *testing.T) { testOldWidening(t, w) })
	t.Run("an old range of an AppTier is no reason to refuse", func(t *testing.T) { testOldAppTier(t, config) })
}

const looseRange = "203.0.113.7/24"

// to is an egress rule.
func to(cidr string, port int32) networkingv1.NetworkPolicyEgressRule {
	return networkingv1.NetworkPolicyEgressRule{
		To:    []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: cidr}}},
		Ports: []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(port))}},
	}
}

// stored makes a policy that nobody judges, in a namespace whose policies are judged from then on.
func (w *policyTest) stored(t *testing.T, policy *networkingv1.NetworkPolicy) {
	t.Helper()
	g, ctx := NewWithT(t), t.Context()
	policy.Namespace = w.namespace(t, nil)
	g.Expect(w.client.Create(ctx, policy)).To(Succeed())
	var namespace corev1.Namespace
	g.Expect(w.client.Get(ctx, types.NamespacedName{Name: policy.Namespace}, &namespace)).To(Succeed())
	namespace.Labels[v1alpha1.LabelCheck] = v1alpha1.Check
	g.Expect(w.client.Update(ctx, &namespace)).To(Succeed())
	fresh := harmless(policy.Namespace)
	fresh.Name, fresh.Spec.PolicyTypes = "fresh", []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	fresh.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{to(looseRange, 443)}
	g.Eventually(func() error { return w.client.Create(ctx, fresh.DeepCopy(), client.DryRunAll) }, 10*time.Second, 50*time.Millisecond).
		Should(MatchError(ContainSubstring("spec.egress[0].to[0].ipBlock.cidr")), "a new policy is refused")
}

func testOldRange(t *testing.T, w *policyTest) {
	g, ctx := NewWithT(t), t.Context()
	recorder, c := recordingClient(t, w.config)
	policy := harmless("")
	policy.Spec.PolicyTypes, policy.Spec.Egress = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}, []networkingv1.NetworkPolicyEgressRule{to(looseRange, 443)}
	w.stored(t, policy)

	policy.Spec.Egress[0].Ports[0].Port = ptr.To(intstr.FromInt32(8443))
	g.Expect(c.Update(ctx, policy)).To(Succeed())
	g.Expect(recorder.warnings).To(ContainElement(And(ContainSubstring("spec.egress[0].to[0].ipBlock.cidr"), ContainSubstring("write 203.0.113.0/24"))))

	policy.Spec.Egress = append(policy.Spec.Egress, to("198.51.100.7/24", 443))
	g.Expect(c.Update(ctx, policy)).To(MatchError(And(ContainSubstring("spec.egress[1].to[0]"), Not(ContainSubstring("spec.egress[0]")))), "only what is new is refused")
	policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{to("198.51.100.7/24", 443)}
	g.Expect(c.Update(ctx, policy)).To(MatchError(ContainSubstring("spec.egress[0].to[0]")), "another mistake at the same place")
}

// closed gives a policy's namespace an AppTier that nobody may connect to, as if the webhook had come after
// both: it has a reason while the AppTier is made, and loses it past the webhook.
func closed(t *testing.T, w *policyTest, policy *networkingv1.NetworkPolicy) {
	t.Helper()
	g, ctx, namespace := NewWithT(t), t.Context(), policy.Namespace
	policy.Annotations = map[string]string{widening.Annotation: "it is older"}
	g.Expect(w.client.Update(ctx, policy)).To(Succeed())
	app := &v1alpha1.AppTier{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ledger"},
		Spec:       v1alpha1.AppTierSpec{Tiers: []v1alpha1.Tier{{Name: "db", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "db"}}}}},
	}
	g.Eventually(func() error { return w.client.Create(ctx, app) }, 10*time.Second, 50*time.Millisecond).Should(Succeed())
	g.Expect(w.client.Create(ctx, generated(app))).To(Succeed())
	fresh := opening(namespace)
	fresh.Name = "fresh"
	g.Eventually(func() error { return w.client.Create(ctx, fresh.DeepCopy(), client.DryRunAll) }, 10*time.Second, 50*time.Millisecond).Should(MatchError(ContainSubstring("widening")))
	policy.Annotations = nil
	g.Expect(as(t, w.config, managerAccount).Update(ctx, policy)).To(Succeed())
}

func testBehindOldRange(t *testing.T, w *policyTest) {
	g, ctx := NewWithT(t), t.Context()
	policy := opening("")
	rules := policy.Spec.Ingress
	policy.Spec.Ingress = nil
	policy.Spec.PolicyTypes, policy.Spec.Egress = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, []networkingv1.NetworkPolicyEgressRule{to(looseRange, 443)}
	policy.Spec.PodSelector.MatchLabels = map[string]string{"tier": "db"}
	w.stored(t, policy)
	closed(t, w, policy)
	policy.Spec.Ingress = rules
	g.Expect(w.client.Update(ctx, policy)).To(MatchError(ContainSubstring("spec.ingress[0]")))
}

func testOldWidening(t *testing.T, w *policyTest) {
	g, ctx := NewWithT(t), t.Context()
	recorder, c := recordingClient(t, w.config)
	policy := opening("")
	policy.Spec.Ingress[0].Ports = []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(80))}}
	w.stored(t, policy)
	closed(t, w, policy)

	policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	g.Expect(c.Update(ctx, policy)).To(Succeed())
	g.Expect(recorder.warnings).To(ContainElement(And(ContainSubstring("spec.ingress[0]"), ContainSubstring("would let"))))

	policy.Spec.Ingress[0].Ports = nil
	g.Expect(c.Update(ctx, policy)).To(MatchError(ContainSubstring("widening")), "on every port it opens more, whichever is the example")
}

// testOldAppTier stores one past the webhook, as if the webhook had come later.
func testOldAppTier(t *testing.T, config *rest.Config) {
	g, ctx := NewWithT(t), t.Context()
	recorder, c := recordingClient(t, config)
	configurations := &admissionv1.ValidatingWebhookConfigurationList{}
	g.Expect(c.List(ctx, configurations)).To(Succeed())
	for i := range configurations.Items {
		for j := range configurations.Items[i].Webhooks {
			configurations.Items[i].Webhooks[j].ObjectSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "unseen", Operator: metav1.LabelSelectorOpDoesNotExist}}}
		}
		g.Expect(c.Update(ctx, &configurations.Items[i])).To(Succeed())
	}
	app := valid()
	app.Name, app.Labels = "old", map[string]string{"unseen": ""}
	app.Spec.Tiers[0].Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{looseRange}}}}, AllPorts: true}}
	g.Eventually(func() error { return c.Create(ctx, app) }, 10*time.Second, 50*time.Millisecond).Should(Succeed())

	app.Labels, app.Spec.Tiers[0].Ports = nil, []v1alpha1.TierPort{{Port: 8080}}
	g.Expect(c.Update(ctx, app)).To(Succeed())
	g.Expect(recorder.warnings).To(ContainElement(And(ContainSubstring("spec.tiers[0].egress[0].to[0].networks.cidrs[0]"), ContainSubstring("bits set beyond its prefix"))))

	app.Spec.Tiers[0].Egress[0].To[0].Networks.CIDRs = []string{looseRange, "198.51.100.7/24"}
	g.Expect(c.Update(ctx, app)).To(MatchError(And(ContainSubstring("cidrs[1]"), Not(ContainSubstring("cidrs[0]")))))
	app.Spec.Tiers[0].Egress[0].To[0].Networks.CIDRs = []string{"203.0.113.0/24"}
	g.Expect(c.Update(ctx, app)).To(Succeed())
}
