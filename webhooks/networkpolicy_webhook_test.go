package webhooks_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/widening"
)

func TestNetworkPolicyWebhook(t *testing.T) {
	config := startWebhooks(t)
	w := &policyTest{config: config, client: newClient(t, config)}
	for name, test := range map[string]func(*testing.T, *policyTest){
		"refuses what opens an AppTier, and says what to do":        testWidening,
		"says everything at once":                                   testMistakesAtOnce,
		"lets a widening pass that gives a reason, with a warning":  testReason,
		"judges changes of what a policy says, and nothing else":    testChanges,
		"asks only about namespaces with an AppTier or the label":   testNamespaces,
		"leaves namespaces alone that are the cluster's, or go":     testExemptNamespaces,
		"never stands in the manager's way":                         testManagersOwn,
		"takes an AppTier's own policies for what is declared":      testDeclared,
		"takes a policy that only looks like one for anyone's":      testPretended,
		"warns of what is doubtful, on a dry run as well":           testDoubtful,
		"warns of what shuts the API server out":                    testShutsOutTheAPIServer,
		"warns of the range of Services":                            testAllowsTheRangeOfServices,
		"lets go of a policy that is being deleted, whatever it is": testFinalizer,
		"refuses what is too big to judge, and never lets it pass":  testTooBig,
		"refuses what enforcers would refuse, and warns at half":    testBudget,
	} {
		t.Run(name, func(t *testing.T) { test(t, w) })
	}
}

type policyTest struct {
	config *rest.Config
	client client.Client
	count  int
}

// namespace makes a namespace of its own for a test.
func (w *policyTest) namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	w.count++
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("test-", w.count), Labels: labels}}
	NewWithT(t).Expect(w.client.Create(t.Context(), namespace)).To(Succeed())
	return namespace.Name
}

// ledger makes a namespace with an AppTier of one tier, that nobody may connect to, and its policy,
// and waits until both are known.
func (w *policyTest) ledger(t *testing.T) string {
	t.Helper()
	g, name := NewWithT(t), w.namespace(t, nil)
	app := &v1alpha1.AppTier{
		ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "ledger"},
		Spec: v1alpha1.AppTierSpec{Tiers: []v1alpha1.Tier{{
			Name: "db", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "db"}}, Ports: []v1alpha1.TierPort{{Port: 5432}},
		}}},
	}
	g.Expect(w.client.Create(t.Context(), app)).To(Succeed())
	g.Expect(w.client.Create(t.Context(), generated(app))).To(Succeed())
	g.Eventually(func() error { return w.client.Create(t.Context(), opening(name), client.DryRunAll) }, 10*time.Second, 50*time.Millisecond).Should(HaveOccurred())
	return name
}

// generated is the policy that the manager would make of the ledger.
func generated(app *v1alpha1.AppTier) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: app.Namespace, Name: "ledger.tier.db",
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelAppTier: app.Name, v1alpha1.LabelTier: "db"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "AppTier", Name: app.Name, UID: app.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: app.Spec.Tiers[0].PodSelector,
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		},
	}
}

// opening lets everyone connect to the ledger's database.
func opening(namespace string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "open"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "db"}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}}},
		},
	}
}

// harmless is about pods that no AppTier knows.
func harmless(namespace string) *networkingv1.NetworkPolicy {
	policy := opening(namespace)
	policy.Name, policy.Spec.PodSelector = "harmless", metav1.LabelSelector{MatchLabels: map[string]string{"tier": "cache"}}
	policy.Spec.Ingress = nil
	return policy
}

func testWidening(t *testing.T, w *policyTest) {
	g := NewWithT(t)
	err := w.client.Create(t.Context(), opening(w.ledger(t)))
	g.Expect(errors.IsInvalid(err)).To(BeTrue(), "%v", err)
	g.Expect(err).To(MatchError(And(
		ContainSubstring("denied the request: NetworkPolicy open is refused:\n  spec.ingress[0].from[0]: would let any pod of namespace"),
		ContainSubstring("reach a pod of tier db"), ContainSubstring("AppTier ledger allows nothing to connect to it"), ContainSubstring("(widening)\n    fix: declare it in AppTier ledger"))))
}

func testMistakesAtOnce(t *testing.T, w *policyTest) {
	g := NewWithT(t)
	policy := opening(w.ledger(t))
	policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{
		From: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}}})
	err := w.client.Create(t.Context(), policy)
	g.Expect(err).To(MatchError(And(ContainSubstring("spec.ingress[0].from[0]: "), ContainSubstring("spec.ingress[1].from[0]: "))))
	status, ok := err.(errors.APIStatus)
	g.Expect(ok).To(BeTrue())
	g.Expect(status.Status().Details.Causes).To(HaveLen(2), "programs get each as a cause")
	g.Expect(status.Status().Details.Causes[0]).To(And(HaveField("Field", "spec.ingress[0].from[0]"), HaveField("Type", BeEquivalentTo("widening"))))
}

func testReason(t *testing.T, w *policyTest) {
	g, policy := NewWithT(t), opening(w.ledger(t))
	recorder, c := recordingClient(t, w.config)
	policy.Annotations = map[string]string{widening.Annotation: "the backup of March"}
	g.Expect(c.Create(t.Context(), policy)).To(Succeed())
	g.Expect(recorder.warnings).To(ContainElement(And(ContainSubstring("would let"), ContainSubstring("gives the reason: the backup of March"))))
	delete(policy.Annotations, widening.Annotation)
	g.Expect(c.Update(t.Context(), policy)).To(MatchError(ContainSubstring("widening")), "without the reason it is a widening again")
}

func testChanges(t *testing.T, w *policyTest) {
	g := NewWithT(t)
	namespace := w.ledger(t)
	policy := opening(namespace)
	g.Expect(as(t, w.config, managerAccount).Create(t.Context(), policy)).To(Succeed(), "as if it had been there before")
	policy.Labels = map[string]string{"team": "billing"}
	g.Expect(w.client.Update(t.Context(), policy)).To(Succeed())
	policy.Spec.Ingress[0].Ports = []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(corev1.ProtocolUDP)}}
	g.Expect(w.client.Update(t.Context(), policy)).To(MatchError(ContainSubstring("widening")))

	fine := harmless(namespace)
	g.Expect(w.client.Create(t.Context(), fine)).To(Succeed())
	fine.Spec = opening(namespace).Spec
	g.Expect(w.client.Update(t.Context(), fine)).To(MatchError(ContainSubstring("widening")))
}

// doubtful is warned about wherever it is judged.
func doubtful(namespace string) *networkingv1.NetworkPolicy {
	policy := harmless(namespace)
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{}}, {}}
	return policy
}

// isJudged says whether policies of a namespace are, seen from outside.
func (w *policyTest) isJudged(t *testing.T, namespace string) func() bool {
	recorder, c := recordingClient(t, w.config)
	return func() bool {
		recorder.warnings = nil
		NewWithT(t).Expect(c.Create(t.Context(), doubtful(namespace), client.DryRunAll)).To(Succeed())
		return len(recorder.warnings) > 0
	}
}

func testNamespaces(t *testing.T, w *policyTest) {
	g, ctx := NewWithT(t), t.Context()
	plain, labelled, other := w.namespace(t, nil), w.namespace(t, map[string]string{v1alpha1.LabelCheck: v1alpha1.Check}), w.namespace(t, map[string]string{v1alpha1.LabelCheck: "maybe"})
	g.Eventually(w.isJudged(t, labelled), 10*time.Second, 50*time.Millisecond).Should(BeTrue())
	g.Expect(w.isJudged(t, plain)()).To(BeFalse())
	g.Expect(w.isJudged(t, other)()).To(BeFalse())

	app := valid()
	app.Namespace = plain
	g.Expect(w.client.Create(ctx, app)).To(Succeed())
	g.Eventually(w.isJudged(t, plain), 10*time.Second, 50*time.Millisecond).Should(BeTrue())
	g.Expect(w.client.Delete(ctx, app)).To(Succeed())
	g.Eventually(w.isJudged(t, plain), 10*time.Second, 50*time.Millisecond).Should(BeFalse())
}

func testExemptNamespaces(t *testing.T, w *policyTest) {
	g, ctx := NewWithT(t), t.Context()
	g.Expect(w.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "apptier-system"}})).To(Succeed())
	for _, name := range []string{"kube-system", "kube-public", "kube-node-lease", "apptier-system"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		g.Expect(w.client.Patch(ctx, namespace, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"policy.apptier.dev/check":"true"}}}`)))).To(Succeed())
		g.Consistently(w.isJudged(t, name), 300*time.Millisecond, 100*time.Millisecond).Should(BeFalse(), name)
	}

	going := w.ledger(t)
	policy := harmless(going)
	g.Expect(w.client.Create(ctx, policy)).To(Succeed())
	// It stays so: nothing here finalizes namespaces.
	g.Expect(w.client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: going}})).To(Succeed())
	g.Eventually(func() error {
		policy.Spec = opening(going).Spec
		return w.client.Update(ctx, policy)
	}, 10*time.Second, 50*time.Millisecond).Should(Succeed())
}

func testManagersOwn(t *testing.T, w *policyTest) {
	g := NewWithT(t)
	g.Expect(as(t, w.config, managerAccount).Create(t.Context(), opening(w.ledger(t)))).To(Succeed())
}

func testDeclared(t *testing.T, w *policyTest) {
	g, ctx, namespace := NewWithT(t), t.Context(), w.ledger(t)
	var policy networkingv1.NetworkPolicy
	g.Expect(w.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "ledger.tier.db"}, &policy)).To(Succeed())
	policy.Spec.Ingress = opening(namespace).Spec.Ingress // the AppTier has come to allow it
	g.Expect(as(t, w.config, managerAccount).Update(ctx, &policy)).To(Succeed())
	g.Eventually(func() error { return w.client.Create(ctx, opening(namespace), client.DryRunAll) }, 10*time.Second, 50*time.Millisecond).Should(Succeed())
}

func testPretended(t *testing.T, w *policyTest) {
	g, policy := NewWithT(t), opening(w.ledger(t))
	policy.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelAppTier: "ledger", v1alpha1.LabelTier: "db"}
	g.Expect(w.client.Create(t.Context(), policy)).To(MatchError(ContainSubstring("widening")))
}

func testDoubtful(t *testing.T, w *policyTest) {
	g := NewWithT(t)
	recorder, c := recordingClient(t, w.config)
	policy := doubtful(w.ledger(t))
	g.Expect(c.Create(t.Context(), policy, client.DryRunAll)).To(Succeed())
	g.Expect(recorder.warnings).To(ContainElement(And(HavePrefix("spec.ingress[0]: "), HaveSuffix("(rule-allows-everyone)"))))
	g.Expect(errors.IsNotFound(c.Get(t.Context(), client.ObjectKeyFromObject(policy), policy))).To(BeTrue())
}

func testFinalizer(t *testing.T, w *policyTest) {
	g, ctx, policy := NewWithT(t), t.Context(), opening(w.ledger(t))
	policy.Finalizers = []string{"example.com/wait"}
	g.Expect(as(t, w.config, managerAccount).Create(ctx, policy)).To(Succeed())
	g.Expect(w.client.Delete(ctx, policy)).To(Succeed())
	g.Expect(w.client.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
	policy.Finalizers = nil
	policy.Spec.PodSelector = metav1.LabelSelector{}
	g.Expect(w.client.Update(ctx, policy)).To(Succeed())
}

// blocks are so many peers that are addresses.
func blocks(count int) (peers []networkingv1.NetworkPolicyPeer) {
	for i := range count {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: fmt.Sprintf("203.%d.%d.0/24", i/256, i%256)}})
	}
	return peers
}

// testTooBig: the policy is within the budgets, and its selector stands in each of 1,500 clauses.
func testTooBig(t *testing.T, w *policyTest) {
	g, policy := NewWithT(t), harmless(w.ledger(t))
	for i := range 1500 {
		policy.Spec.PodSelector.MatchExpressions = append(policy.Spec.PodSelector.MatchExpressions,
			metav1.LabelSelectorRequirement{Key: fmt.Sprint("label-", i), Operator: metav1.LabelSelectorOpDoesNotExist})
	}
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: blocks(1500)}}
	refused := MatchError(And(
		ContainSubstring("NetworkPolicy harmless is refused:\n  spec: it is too big to judge in this cluster: its 1 rules with 1500 peers and 0 ports take more than the limit of 20000000 steps"),
		ContainSubstring("(too-big-to-judge)\n    fix: split it")))
	g.Expect(w.client.Create(t.Context(), policy, client.DryRunAll)).To(refused)
	policy.Annotations = map[string]string{widening.Annotation: "a reason changes nothing about it"}
	g.Expect(w.client.Create(t.Context(), policy, client.DryRunAll)).To(refused)
	g.Expect(as(t, w.config, managerAccount).Create(t.Context(), policy)).To(Succeed(), "as if it had been there before")
	policy.Spec.Ingress[0].From = policy.Spec.Ingress[0].From[:10]
	g.Expect(w.client.Update(t.Context(), policy)).To(Succeed(), "it becomes one that can be judged")
}

func testBudget(t *testing.T, w *policyTest) {
	g, ctx, namespace := NewWithT(t), t.Context(), w.ledger(t)
	recorder, c := recordingClient(t, w.config)
	policy := harmless(namespace)
	rules := func(count int) {
		policy.Spec.Ingress = nil
		for i := range count {
			policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: blocks(i + 1)[i:]})
		}
	}
	rules(501)
	g.Expect(c.Create(ctx, policy, client.DryRunAll)).To(MatchError(And(
		ContainSubstring("NetworkPolicy "+namespace+"/harmless has 501 rules, more than the 500 that a policy may have"), ContainSubstring("--policy-budget=rules=501"), ContainSubstring("(over-budget)"))))
	rules(400)
	g.Expect(c.Create(ctx, policy, client.DryRunAll)).To(Succeed())
	g.Expect(recorder.warnings).To(ContainElement(ContainSubstring("NetworkPolicy harmless: it has 400 rules of 500 that a policy may have")))

	t.Run("of all policies of the namespace", func(t *testing.T) {
		g := NewWithT(t)
		for i := range 4 {
			policy.Name, policy.ResourceVersion = fmt.Sprint("part-", i), ""
			g.Expect(c.Create(ctx, policy)).To(Succeed())
		}
		policy.Name, policy.ResourceVersion = "last", ""
		rules(401)
		g.Eventually(func() error { return c.Create(ctx, policy, client.DryRunAll) }, 10*time.Second, 50*time.Millisecond).Should(MatchError(
			ContainSubstring("NetworkPolicy " + namespace + "/last: with it the policies of namespace " + namespace + " have 2001 rules, more than the 2000")))
	})
	t.Run("but lets what is above be less", func(t *testing.T) {
		g := NewWithT(t)
		policy.Name, policy.ResourceVersion = "older", ""
		rules(600)
		g.Expect(as(t, w.config, managerAccount).Create(ctx, policy)).To(Succeed(), "as if it had been there before")
		rules(550)
		recorder.warnings = nil
		g.Expect(c.Update(ctx, policy)).To(Succeed())
		g.Expect(recorder.warnings).To(ContainElement(ContainSubstring("has 550 rules, more than the 500")))
		rules(551)
		g.Expect(c.Update(ctx, policy)).To(MatchError(ContainSubstring("over-budget")))
	})
	t.Run("and holds AppTiers to it", func(t *testing.T) {
		g, app := NewWithT(t), valid()
		app.Namespace, app.Name, app.Spec.Tiers = namespace, "wide", nil
		for i := range 30 {
			tier := v1alpha1.Tier{Name: fmt.Sprint("t-", i), PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"wide": fmt.Sprint(i)}}}
			for j := range 16 {
				tier.Ingress = append(tier.Ingress, v1alpha1.IngressRule{
					From:  []v1alpha1.Peer{{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{"203.0.113.0/24"}}}},
					Ports: []v1alpha1.RulePort{{Port: intstr.FromInt32(int32(8000 + j))}},
				})
			}
			app.Spec.Tiers = append(app.Spec.Tiers, tier)
		}
		g.Expect(c.Create(ctx, app, client.DryRunAll)).To(MatchError(And(ContainSubstring("AppTier wide is refused"), ContainSubstring("more than the 2000"), ContainSubstring("(over-budget)"))))
	})
}
