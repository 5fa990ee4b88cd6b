package controllers_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/controllers"
	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/policy/expand"
)

// soon is how long the controller has for one reaction, on a busy machine.
const soon = 10 * time.Second

// cluster is a real API server with the controller at work.
type cluster struct {
	client.Client
	*WithT
	config *rest.Config
}

func startController(t *testing.T) cluster {
	config, _ := apiserver.Start(t)
	scheme := runtime.NewScheme()
	g := NewWithT(t)
	g.Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:     scheme,
		Cache:      controllers.CacheOptions(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)}, // one manager a test
	})
	g.Expect(err).NotTo(HaveOccurred())
	reconciler := &controllers.AppTierReconciler{
		DNSService: types.NamespacedName{Namespace: "kube-system", Name: "kube-dns"},
		Now:        time.Now,
	}
	g.Expect(reconciler.SetupWithManager(mgr)).To(Succeed())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the manager ended: %v", err)
		}
	})
	direct, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	return cluster{Client: direct, WithT: g, config: config}
}

// watching is the same client, which watches too.
func (c cluster) watching() client.WithWatch { return c.Client.(client.WithWatch) }

// newNamespace makes a namespace of a test's own.
func (c cluster) newNamespace(ctx context.Context) string {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	c.Expect(c.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}

func shop(namespace string) *v1alpha1.AppTier {
	var app v1alpha1.AppTier
	text := `
metadata: {name: shop}
spec:
  tiers:
  - name: web
    podSelector: {matchLabels: {tier: web}}
    ports: [{port: 8080}]
    ingress: [{from: [{everyone: {}}]}]
  - name: db
    podSelector: {matchLabels: {tier: db}}
    ports: [{port: 5432}]
    ingress: [{from: [{tier: web}]}]
`
	if err := yaml.UnmarshalStrict([]byte(text), &app); err != nil {
		panic(err)
	}
	app.Namespace = namespace
	return &app
}

func (c cluster) policies(ctx context.Context, namespace string) map[string]networkingv1.NetworkPolicy {
	var list networkingv1.NetworkPolicyList
	c.Expect(c.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	byName := map[string]networkingv1.NetworkPolicy{}
	for _, policy := range list.Items {
		byName[policy.Name] = policy
	}
	return byName
}

// becomes waits until an AppTier's condition Ready is as told for its current generation.
func (c cluster) becomes(ctx context.Context, app *v1alpha1.AppTier, ready metav1.ConditionStatus) {
	c.Eventually(func() string {
		c.Expect(c.Get(ctx, client.ObjectKeyFromObject(app), app)).To(Succeed())
		condition := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
		if condition == nil || condition.ObservedGeneration != app.Generation {
			return "not reconciled yet"
		}
		return string(condition.Status)
	}, soon, 20*time.Millisecond).Should(Equal(string(ready)), "%v", app.Status.Conditions)
}

func TestController(t *testing.T) {
	c := startController(t)
	for name, test := range map[string]func(*testing.T, cluster){
		"writes one policy a tier and reports it":          testWrites,
		"writes nothing when nothing changed":              testNoNeedlessWrites,
		"repairs a policy that was edited or deleted":      testRepairs,
		"prunes what a new spec no longer wants":           testPrunes,
		"leaves a policy of anyone else's alone":           testForeignPolicy,
		"keeps the last good policies of a refused spec":   testRefusedSpec,
		"follows the DNS Service":                          testDNSService,
		"takes over from an AppTier that was created anew": testRecreated,
	} {
		t.Run(name, func(t *testing.T) { test(t, cluster{Client: c.Client, WithT: NewWithT(t)}) })
	}
}

func testWrites(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.becomes(ctx, app, metav1.ConditionTrue)

	policies := c.policies(ctx, app.Namespace)
	c.Expect(policies).To(HaveLen(2))
	for _, want := range expand.NetworkPolicies(app, expand.DefaultEnvironment()) {
		have := policies[want.Name]
		c.Expect(have.Spec).To(Equal(want.Spec), "the API server holds what was rendered")
		c.Expect(have.Labels).To(Equal(want.Labels))
		c.Expect(metav1.IsControlledBy(&have, app)).To(BeTrue())
		c.Expect(have.ManagedFields).To(HaveLen(1), "one field owner")
		c.Expect(have.ManagedFields[0].Operation).To(Equal(metav1.ManagedFieldsOperationApply))
	}
	c.Expect(app.Status.ObservedGeneration).To(Equal(app.Generation))
	c.Expect(app.Status.PolicyCount).To(BeEquivalentTo(2))
	c.Expect(app.Status.Policies).To(HaveLen(2))
	for _, kind := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs, v1alpha1.ConditionReady} {
		c.Expect(meta.IsStatusConditionTrue(app.Status.Conditions, kind)).To(BeTrue(), kind)
	}
}

func testNoNeedlessWrites(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.becomes(ctx, app, metav1.ConditionTrue)
	before, status := c.policies(ctx, app.Namespace), withoutNodes(app.Status)

	// A label on a policy is someone else's business. It has the AppTier reconciled again.
	edited := before["shop.tier.db"]
	c.edit(ctx, &edited, func() { edited.Labels["team"] = "billing" })
	c.Consistently(func() string {
		after := c.policies(ctx, app.Namespace)
		c.Expect(c.Get(ctx, client.ObjectKeyFromObject(app), app)).To(Succeed())
		return fmt.Sprint(after["shop.tier.web"].ResourceVersion, after["shop.tier.db"].ResourceVersion, withoutNodes(app.Status))
	}, time.Second, 50*time.Millisecond).Should(Equal(fmt.Sprint(before["shop.tier.web"].ResourceVersion, edited.ResourceVersion, status)))
}

// withoutNodes is the part of a status that says nothing of nodes, which follows every version of a policy.
func withoutNodes(status v1alpha1.AppTierStatus) v1alpha1.AppTierStatus {
	out := status.DeepCopy()
	out.Nodes = nil
	meta.RemoveStatusCondition(&out.Conditions, v1alpha1.ConditionProgrammed)
	return *out
}

func testRepairs(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.becomes(ctx, app, metav1.ConditionTrue)
	before := c.policies(ctx, app.Namespace)

	deleted, edited := before["shop.tier.web"], before["shop.tier.db"]
	c.Expect(c.Delete(ctx, &deleted)).To(Succeed())
	c.edit(ctx, &edited, func() { // opens it to everyone
		edited.Spec.Ingress = append(edited.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
	})

	for name, want := range before {
		c.Eventually(func() networkingv1.NetworkPolicySpec { return c.policies(ctx, app.Namespace)[name].Spec }, soon, 20*time.Millisecond).
			Should(Equal(want.Spec), name)
	}
}

func testPrunes(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	app.Spec.Isolation.Scope = v1alpha1.ScopeNamespace
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.becomes(ctx, app, metav1.ConditionTrue)
	c.Expect(c.policies(ctx, app.Namespace)).To(And(HaveLen(3), HaveKey("shop.namespace")))
	denial := c.policies(ctx, app.Namespace)["shop.namespace"]
	c.Eventually(func() []types.UID {
		var owners []types.UID
		for _, owner := range c.policies(ctx, app.Namespace)["shop.tier.db"].OwnerReferences {
			owners = append(owners, owner.UID)
		}
		return owners
	}, soon, 20*time.Millisecond).Should(ConsistOf(app.UID, denial.UID), "the garbage collector leaves what allows until what denies is gone")

	c.edit(ctx, app, func() {
		app.Spec.Isolation.Scope = v1alpha1.ScopeTiers
		app.Spec.Tiers = app.Spec.Tiers[:1]
		app.Spec.Tiers[0].Name = "frontend"
	})
	c.becomes(ctx, app, metav1.ConditionTrue)
	c.Expect(c.policies(ctx, app.Namespace)).To(And(HaveLen(1), HaveKey("shop.tier.frontend")))
}

func testForeignPolicy(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	mine := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: "shop.tier.db"}}
	other := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: "other",
		Labels: map[string]string{v1alpha1.LabelAppTier: "shop", v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}}}
	c.Expect(c.Create(ctx, mine)).To(Succeed())
	c.Expect(c.Create(ctx, other)).To(Succeed())

	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.becomes(ctx, app, metav1.ConditionFalse)
	c.Expect(meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady).Message).To(ContainSubstring("shop.tier.db exists"))
	after := c.policies(ctx, app.Namespace)
	c.Expect(after).To(HaveLen(2), "nothing is half applied")
	c.Expect(after["shop.tier.db"].ResourceVersion).To(Equal(mine.ResourceVersion))
	c.Expect(after["other"].ResourceVersion).To(Equal(other.ResourceVersion))

	c.Expect(c.Delete(ctx, mine)).To(Succeed())
	c.becomes(ctx, app, metav1.ConditionTrue)
	c.Expect(c.policies(ctx, app.Namespace)).To(And(HaveLen(3), HaveKey("shop.tier.db"), HaveKey("other")))
}

func testRefusedSpec(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.becomes(ctx, app, metav1.ConditionTrue)
	before := c.policies(ctx, app.Namespace)

	// No webhook runs here, so the API server takes it.
	c.edit(ctx, app, func() {
		app.Spec.Isolation = v1alpha1.Isolation{Scope: v1alpha1.ScopeNamespace, SameNamespace: v1alpha1.SameNamespaceAllow}
		app.Spec.Tiers = app.Spec.Tiers[:1]
	})
	c.becomes(ctx, app, metav1.ConditionFalse)
	accepted := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionAccepted)
	c.Expect(accepted.Status).To(Equal(metav1.ConditionFalse))
	c.Expect(accepted.Message).To(ContainSubstring("spec.isolation.sameNamespace"))
	c.Expect(c.policies(ctx, app.Namespace)).To(Equal(before))
}

func testDNSService(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.becomes(ctx, app, metav1.ConditionTrue)

	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-dns"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "my-dns"},
			Ports: []corev1.ServicePort{
				{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(5353)},
				{Name: "metrics", Port: 9153, TargetPort: intstr.FromInt32(9153)},
			},
		},
	}
	c.Expect(c.Create(ctx, service)).To(Succeed())
	t.Cleanup(func() { _ = c.Delete(context.Background(), service) })
	c.Eventually(func() string {
		text, err := yaml.Marshal(c.policies(ctx, app.Namespace)["shop.tier.db"].Spec.Egress)
		c.Expect(err).NotTo(HaveOccurred())
		return string(text)
	}, soon, 20*time.Millisecond).Should(And(
		ContainSubstring("app: my-dns"), ContainSubstring("port: 5353"),
		ContainSubstring(service.Spec.ClusterIP+"/32"), Not(ContainSubstring("9153"))))
}

func testRecreated(t *testing.T, c cluster) {
	ctx := t.Context()
	app := shop(c.newNamespace(ctx))
	c.Expect(c.Create(ctx, app)).To(Succeed())
	c.becomes(ctx, app, metav1.ConditionTrue)
	// This API server has no garbage collector: the first AppTier's policies are still there.
	c.Expect(c.Delete(ctx, app)).To(Succeed())
	again := shop(app.Namespace)
	c.Expect(c.Create(ctx, again)).To(Succeed())
	c.becomes(ctx, again, metav1.ConditionTrue)
	for name, policy := range c.policies(ctx, app.Namespace) {
		c.Expect(policy.OwnerReferences).To(HaveLen(1), name)
		c.Expect(metav1.IsControlledBy(&policy, again)).To(BeTrue(), name)
	}
}
