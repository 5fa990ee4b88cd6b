package controllers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/widening"
)

// No webhook stands before this API server: every policy gets past admission.
func TestConflicted(t *testing.T) {
	c := startController(t)
	for name, test := range map[string]func(*testing.T, cluster){
		"a policy that comes, with a reason, changes and goes": testOpeningHistory,
		"a pod that comes to be in a tier and selected":        testOpenedPod,
		"an address that a pod is given":                       testOpenedAddress,
		"a namespace that comes to be declared":                testOpenedNamespace,
		"another AppTier that declares it":                     testOpenedBeside,
		"an AppTier that is created after the policy":          testOlderPolicy,
		"a policy that is too big to judge":                    testTooBig,
	} {
		t.Run(name, func(t *testing.T) { test(t, cluster{Client: c.Client, WithT: NewWithT(t)}) })
	}
}

// opening lets peers reach pods on port 5432.
func opening(namespace string, subjects map[string]string, peers ...networkingv1.NetworkPolicyPeer) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "backup", Annotations: map[string]string{widening.Annotation: "backups until June"}},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: subjects},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromInt32(5432))}}}},
		},
	}
}

var (
	db       = map[string]string{"tier": "db"}
	everyPod = networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
)

// conflicted waits until an AppTier says that it is conflicted, with words in its message, or, without
// any, that it is not. It is ready either way.
func (c cluster) conflicted(ctx context.Context, app *v1alpha1.AppTier, words ...string) {
	c.Eventually(func(g Gomega) {
		g.Expect(c.Get(ctx, client.ObjectKeyFromObject(app), app)).To(Succeed())
		conflicted := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionConflicted)
		g.Expect(conflicted).NotTo(BeNil())
		g.Expect(conflicted.ObservedGeneration).To(Equal(app.Generation))
		if len(words) == 0 {
			g.Expect(conflicted.Status).To(Equal(metav1.ConditionFalse), conflicted.Message)
			g.Expect(conflicted.Reason).To(Equal(v1alpha1.ReasonNotWidened))
		} else {
			g.Expect(conflicted.Status).To(Equal(metav1.ConditionTrue))
			g.Expect(conflicted.Reason).To(Equal(v1alpha1.ReasonWidened))
		}
		for _, word := range words {
			g.Expect(conflicted.Message).To(ContainSubstring(word))
		}
		g.Expect(meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
	}, soon, 20*time.Millisecond).Should(Succeed())
}

func testOpeningHistory(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.conflicted(ctx, app)

	policy := opening(app.Namespace, db, everyPod)
	c.Expect(c.Create(ctx, policy)).To(Succeed())
	c.conflicted(ctx, app, "NetworkPolicy backup lets any pod of namespace "+app.Namespace, "a pod of tier db", "on TCP 5432", "allows only tier web", "its reason: backups until June")

	delete(policy.Annotations, widening.Annotation)
	policy.Spec.Ingress[0].From[0].PodSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "backup"}}
	c.Expect(c.Update(ctx, policy)).To(Succeed())
	c.conflicted(ctx, app, "lets pods app=backup of namespace "+app.Namespace)
	c.Expect(meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionConflicted).Message).NotTo(ContainSubstring("its reason"))

	policy.Spec.Ingress[0].From[0].PodSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "web"}}
	c.Expect(c.Update(ctx, policy)).To(Succeed())
	c.conflicted(ctx, app) // which the AppTier declares itself

	policy.Spec.Ingress[0].From = nil
	c.Expect(c.Update(ctx, policy)).To(Succeed())
	c.conflicted(ctx, app, "lets anyone")
	c.Expect(c.Delete(ctx, policy)).To(Succeed())
	c.conflicted(ctx, app)

	var events eventsv1.EventList
	c.Expect(c.List(ctx, &events, client.InNamespace(app.Namespace))).To(Succeed())
	var widened int
	for _, event := range events.Items {
		if event.Reason == v1alpha1.ReasonWidened {
			c.Expect(event.Type).To(Equal(corev1.EventTypeWarning))
			widened++
		}
	}
	c.Expect(widened).To(Equal(2), "one Event each time that it becomes conflicted")
}

// What nobody has judged is said, and the AppTier is in force.
func testTooBig(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.conflicted(ctx, app)
	policy := opening(app.Namespace, map[string]string{"tier": "db"})
	for i := range 400 {
		policy.Spec.PodSelector.MatchExpressions = append(policy.Spec.PodSelector.MatchExpressions,
			metav1.LabelSelectorRequirement{Key: fmt.Sprint("label-", i), Operator: metav1.LabelSelectorOpDoesNotExist})
		policy.Spec.Ingress[0].From = append(policy.Spec.Ingress[0].From, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: fmt.Sprintf("203.0.%d.%d/32", i/256, i%256)}})
	}
	c.Expect(c.Create(ctx, policy)).To(Succeed())
	c.Eventually(func(g Gomega) {
		g.Expect(c.Get(ctx, client.ObjectKeyFromObject(app), app)).To(Succeed())
		g.Expect(meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionConflicted)).To(And(
			HaveField("Status", metav1.ConditionUnknown), HaveField("Reason", v1alpha1.ReasonTooBigToJudge),
			HaveField("Message", ContainSubstring("it is not known whether NetworkPolicy backup opens what this AppTier closes: judging it takes more than 2000000 steps"))))
		g.Expect(meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
	}, soon, 20*time.Millisecond).Should(Succeed())
}

// The policy selects other labels than the AppTier does: only a pod that has both is certain.
func testOpenedPod(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.Expect(c.Create(ctx, opening(app.Namespace, map[string]string{"app": "batch"}, everyPod))).To(Succeed())
	c.Expect(c.Create(ctx, pod(app.Namespace, "batch", map[string]string{"app": "batch"}))).To(Succeed())
	c.conflicted(ctx, app)
	both := pod(app.Namespace, "both", map[string]string{"app": "batch", "tier": "db"})
	c.Expect(c.Create(ctx, both)).To(Succeed())
	c.conflicted(ctx, app, "reach "+app.Namespace+"/both on TCP 5432")
	both.Labels["tier"] = "none"
	c.Expect(c.Update(ctx, both)).To(Succeed())
	c.conflicted(ctx, app)
}

// The AppTier allows a range that is not where pods usually are, and the policy pods: whether that is
// more than declared depends on the addresses of pods that have one.
func testOpenedAddress(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	app.Spec.Tiers[1].Ingress = []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{"10.0.0.0/8", "100.64.0.0/10", "fc00::/7", "172.16.0.0/12"}}}}}}
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.Expect(c.Create(ctx, opening(app.Namespace, db, everyPod))).To(Succeed())
	peer := pod(app.Namespace, "peer", nil)
	c.Expect(c.Create(ctx, peer)).To(Succeed())
	c.conflicted(ctx, app)
	peer.Status.PodIP, peer.Status.PodIPs = "192.168.7.7", []corev1.PodIP{{IP: "192.168.7.7"}}
	c.Expect(c.Status().Update(ctx, peer)).To(Succeed())
	c.conflicted(ctx, app, app.Namespace+"/peer")
}

func testOpenedNamespace(t *testing.T, c cluster) {
	ctx := t.Context()
	app, elsewhere := shop(c.newNamespace(ctx)), c.newNamespace(ctx)
	team := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "backup-of-" + app.Namespace}}
	app.Spec.Tiers[1].Ingress = []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Namespaces: team}}}}
	c.Expect(c.Create(ctx, app)).To(Succeed())
	named := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: elsewhere}}
	c.Expect(c.Create(ctx, opening(app.Namespace, db, networkingv1.NetworkPolicyPeer{NamespaceSelector: named}))).To(Succeed())
	c.conflicted(ctx, app, "any pod of namespace "+elsewhere)

	var namespace corev1.Namespace
	c.Expect(c.Get(ctx, types.NamespacedName{Name: elsewhere}, &namespace)).To(Succeed())
	namespace.Labels["team"] = "backup-of-" + app.Namespace
	c.Expect(c.Update(ctx, &namespace)).To(Succeed())
	c.conflicted(ctx, app)
	delete(namespace.Labels, "team")
	c.Expect(c.Update(ctx, &namespace)).To(Succeed())
	c.conflicted(ctx, app, "any pod of namespace "+elsewhere)
}

func testOpenedBeside(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	peer := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "backup"}}}
	c.Expect(c.Create(ctx, opening(app.Namespace, db, peer))).To(Succeed())
	c.conflicted(ctx, app, "pods app=backup")

	other := shop(app.Namespace)
	other.Name, other.Spec.Tiers = "other", other.Spec.Tiers[1:]
	other.Spec.Tiers[0].Ingress = []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Pods: &v1alpha1.PodsPeer{PodSelector: *peer.PodSelector}}}}}
	c.Expect(c.Create(ctx, other)).To(Succeed())
	c.conflicted(ctx, other)
	c.conflicted(ctx, app)

	other.Spec.Tiers[0].Ingress = nil
	c.retry(func() error { return c.replaceSpec(ctx, other) })
	c.conflicted(ctx, app, "pods app=backup")
	c.conflicted(ctx, other, "pods app=backup")
}

func testOlderPolicy(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, opening(app.Namespace, map[string]string{"app": "none"}, everyPod))).To(Succeed())
	older := opening(app.Namespace, nil, everyPod)
	older.Name, older.Annotations = "older", nil
	c.Expect(c.Create(ctx, older)).To(Succeed())
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.conflicted(ctx, app, "NetworkPolicy older lets any pod")
	c.Expect(meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionConflicted).Message).NotTo(ContainSubstring("backup"))
}
