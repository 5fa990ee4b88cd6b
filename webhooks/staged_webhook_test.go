package webhooks_test

import (
	"testing"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
)

// staged is a policy as people try it before they enforce it.
func staged(policy *networkingv1.NetworkPolicy) *v1alpha1.StagedNetworkPolicy {
	return &v1alpha1.StagedNetworkPolicy{ObjectMeta: policy.ObjectMeta, Spec: policy.Spec}
}

func TestStagedNetworkPolicyWebhook(t *testing.T) {
	config := startWebhooks(t)
	w := &policyTest{config: config, client: newClient(t, config)}
	for name, test := range map[string]func(*testing.T, *policyTest){
		"warns of what would be refused if it were enforced":  testStagedWidening,
		"refuses what no NetworkPolicy can say":               testStagedInvalid,
		"refuses what enforcers would not count":              testStagedBudget,
		"never stands in the manager's way":                   testStagedByTheManager,
		"lets an AppTier in mode Audit be, and says what for": testAudit,
	} {
		t.Run(name, func(t *testing.T) { test(t, w) })
	}
}

func testStagedWidening(t *testing.T, w *policyTest) {
	g, recorder, c := withRecorder(t, w)
	namespace := w.ledger(t)
	g.Expect(c.Create(t.Context(), opening(namespace), client.DryRunAll)).To(MatchError(ContainSubstring("(widening)")))
	g.Expect(c.Create(t.Context(), staged(opening(namespace)))).To(Succeed())
	g.Expect(recorder.warnings).To(ContainElement(And(ContainSubstring("spec.ingress[0].from[0]: would let any pod"), ContainSubstring("(widening)"))))
	recorder.warnings = nil
	g.Expect(c.Create(t.Context(), staged(doubtful(namespace)))).To(Succeed())
	g.Expect(recorder.warnings).NotTo(BeEmpty(), "as the policy itself")
}

func testStagedInvalid(t *testing.T, w *policyTest) {
	g := NewWithT(t)
	policy := opening(w.namespace(t, nil))
	policy.Spec.Ingress[0].From = []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/33"}}}
	g.Expect(w.client.Create(t.Context(), staged(policy))).To(MatchError(ContainSubstring("StagedNetworkPolicy open is refused:\n  spec.ingress[0].from[0].ipBlock.cidr")))
}

func testStagedBudget(t *testing.T, w *policyTest) {
	g := NewWithT(t)
	policy := harmless(w.namespace(t, nil))
	for i := range 501 {
		policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: blocks(i + 1)[i:]})
	}
	g.Expect(w.client.Create(t.Context(), staged(policy))).To(MatchError(And(ContainSubstring("has 501 rules, more than the 500"), ContainSubstring("(over-budget)"))))
}

func testStagedByTheManager(t *testing.T, w *policyTest) {
	g := NewWithT(t)
	policy := opening(w.namespace(t, nil))
	policy.Spec.Ingress[0].From = []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/33"}}}
	g.Expect(as(t, w.config, managerAccount).Create(t.Context(), staged(policy))).To(Succeed(), "it is not asked about")
}

// An AppTier in mode Audit closes nothing: what opens its pods is a warning, until it is to be enforced.
func testAudit(t *testing.T, w *policyTest) {
	g, recorder, c := withRecorder(t, w)
	namespace := w.namespace(t, nil)
	open := opening(namespace)
	g.Expect(c.Create(t.Context(), open)).To(Succeed())
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ledger"}, Spec: v1alpha1.AppTierSpec{
		Mode: v1alpha1.Audit,
		Tiers: []v1alpha1.Tier{{
			Name: "db", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "db"}}, Ports: []v1alpha1.TierPort{{Port: 5432}},
		}},
	}}
	g.Eventually(func() []string {
		recorder.warnings = nil
		g.Expect(c.Create(t.Context(), app.DeepCopy(), client.DryRunAll)).To(Succeed())
		return recorder.warnings
	}, "10s", "50ms").Should(ContainElement(And(ContainSubstring("NetworkPolicy open lets"), ContainSubstring("(widening)"))))
	g.Expect(c.Create(t.Context(), app)).To(Succeed())

	app.Spec.Mode = v1alpha1.Enforce
	g.Expect(c.Update(t.Context(), app)).To(MatchError(ContainSubstring("NetworkPolicy open lets")), "as on creation")
	g.Expect(c.Delete(t.Context(), open)).To(Succeed())
	g.Eventually(func() error { return c.Update(t.Context(), app) }, "10s", "50ms").Should(Succeed())

	recorder.warnings = nil
	app.Spec.Mode = v1alpha1.Audit
	g.Expect(c.Update(t.Context(), app)).To(Succeed())
	g.Expect(recorder.warnings).To(ContainElement(ContainSubstring("spec.mode: with mode Audit the AppTier stops denying anything")))
}

func withRecorder(t *testing.T, w *policyTest) (*WithT, *recorder, client.Client) {
	r, c := recordingClient(t, w.config)
	return NewWithT(t), r, c
}
