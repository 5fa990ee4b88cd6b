package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/internal/testenv/repository"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/test/scenario"
)

// as returns a client that may do everything, by the name of an account.
func as(account string) client.Client {
	GinkgoHelper()
	config, err := kube.RESTConfig()
	Expect(err).NotTo(HaveOccurred())
	config.Impersonate = rest.ImpersonationConfig{UserName: account, Groups: []string{"system:masters"}}
	c, err := client.New(config, client.Options{Scheme: api.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// ledger makes a namespace with an AppTier of one tier, and waits for its policy.
func ledger(ctx context.Context, name string, labels map[string]string) {
	GinkgoHelper()
	Expect(api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})).To(Succeed())
	Expect(api.Create(ctx, &v1alpha1.AppTier{
		ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "ledger"},
		Spec: v1alpha1.AppTierSpec{Tiers: []v1alpha1.Tier{{
			Name: "db", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "db"}}, Ports: []v1alpha1.TierPort{{Port: 5432}},
		}}},
	})).To(Succeed())
	Expect(scenario.WaitAppTier(ctx, api, client.ObjectKey{Namespace: name, Name: "ledger"})).To(Succeed())
}

// opening lets every pod of its namespace connect to the ledger's database.
func opening(namespace string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "open"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "db"}},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}}},
		},
	}
}

// scaleManager sets the number of managers, and waits until so many are available, and no more are there.
func scaleManager(ctx context.Context, replicas int32) {
	GinkgoHelper()
	manager := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: manifests.Namespace, Name: "apptier-manager"}}
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	Expect(api.Patch(ctx, manager, client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(api.Get(ctx, client.ObjectKeyFromObject(manager), manager)).To(Succeed())
		g.Expect(manager.Status.AvailableReplicas).To(Equal(replicas))
		var pods corev1.PodList
		g.Expect(api.List(ctx, &pods, client.InNamespace(manifests.Namespace), client.MatchingLabels{"app.kubernetes.io/component": "manager"})).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(int(replicas)))
	}, catchesUp, "200ms").Should(Succeed())
}

// withoutManager has no manager for the rest of a spec, and says how many there were.
func withoutManager(ctx context.Context) (replicas int32) {
	GinkgoHelper()
	manager := &appsv1.Deployment{}
	Expect(api.Get(ctx, client.ObjectKey{Namespace: manifests.Namespace, Name: "apptier-manager"}, manager)).To(Succeed())
	DeferCleanup(scaleManager, *manager.Spec.Replicas)
	scaleManager(ctx, 0)
	return *manager.Spec.Replicas
}

// applyStrict applies config/default with the component strict until the spec ends.
func applyStrict(ctx context.Context) {
	GinkgoHelper()
	root, err := repository.Dir(ctx)
	Expect(err).NotTo(HaveOccurred())
	dir := GinkgoT().TempDir()
	relative, err := filepath.Rel(dir, filepath.Join(root, "config"))
	Expect(err).NotTo(HaveOccurred())
	text := fmt.Sprintf("resources: [%[1]s/default]\ncomponents: [%[1]s/components/strict]\n", relative)
	Expect(os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600)).To(Succeed())
	strict, err := manifests.KustomizeDir(dir)
	Expect(err).NotTo(HaveOccurred())
	usual, err := manifests.Kustomize(ctx, "config", "default")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) { Expect(kube.Apply(ctx, usual)).To(Succeed()) })
	Expect(kube.Apply(ctx, strict)).To(Succeed())
}

var _ = Describe("a NetworkPolicy beside an AppTier", func() {
	It("is refused if it opens what the AppTier closes", func(ctx context.Context) {
		ledger(ctx, "widened", nil)
		Eventually(func() error { return api.Create(ctx, opening("widened"), client.DryRunAll) }, settles, "100ms").Should(MatchError(And(
			ContainSubstring("NetworkPolicy open is refused:"), ContainSubstring("spec.ingress[0].from[0]: would let any pod of namespace widened reach a pod of tier db"),
			ContainSubstring("fix: declare it in AppTier ledger"))))
		reasoned := opening("widened")
		reasoned.Annotations = map[string]string{"policy.apptier.dev/allow-widening": "the auditors of this year"}
		Expect(api.Create(ctx, reasoned, client.DryRunAll)).To(Succeed())
	})

	It("passes while no manager is there, but not where the strict component is asked for", func(ctx context.Context) {
		ledger(ctx, "relaxed", nil)
		ledger(ctx, "strict", map[string]string{v1alpha1.LabelCheck: v1alpha1.Check})
		harmless := opening("strict")
		harmless.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"tier": "cache"}}
		Expect(api.Create(ctx, harmless)).To(Succeed())
		applyStrict(ctx)
		replicas := withoutManager(ctx)
		Expect(api.Create(ctx, opening("relaxed"))).To(Succeed())
		Eventually(func() error { return api.Create(ctx, opening("strict"), client.DryRunAll) }, settles, "100ms").Should(
			MatchError(ContainSubstring("failed calling webhook")), "as soon as the API server follows the configuration")
		Expect(api.Delete(ctx, harmless)).To(Succeed())
		expectEmptied(ctx, "strict")
		scaleManager(ctx, replicas)
		expectGone(ctx, "strict")
	})
})

// expectEmptied deletes a namespace, and waits until nothing of it is left that could be in the way. The namespace itself stays
// until a manager answers: the API of connections is its (docs/design/2026-11-30-connections-api.md).
func expectEmptied(ctx context.Context, name string) {
	GinkgoHelper()
	Expect(api.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	for _, list := range []client.ObjectList{
		&v1alpha1.AppTierList{}, &networkingv1.NetworkPolicyList{}, &corev1.PodList{}, &corev1.ConfigMapList{},
	} {
		Eventually(func() int {
			Expect(api.List(ctx, list, client.InNamespace(name))).To(Succeed())
			return meta.LenList(list)
		}, catchesUp, "200ms").Should(BeZero(), "%T", list)
	}
}

// expectGone deletes a namespace, and waits until it is gone.
func expectGone(ctx context.Context, name string) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	Expect(client.IgnoreNotFound(api.Delete(ctx, namespace))).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(api.Get(ctx, client.ObjectKeyFromObject(namespace), namespace))
	}, catchesUp, "200ms").Should(BeTrue())
}

var _ = Describe("a policy of an AppTier", func() {
	It("is not for anyone to edit or delete, and says whose it is", func(ctx context.Context) {
		ledger(ctx, "guarded", nil)
		policy := &networkingv1.NetworkPolicy{}
		Expect(api.Get(ctx, client.ObjectKey{Namespace: "guarded", Name: "ledger.tier.db"}, policy)).To(Succeed())
		refused := MatchError(And(ContainSubstring("generated from AppTier guarded/ledger"), ContainSubstring("edit the AppTier instead")))
		Expect(api.Delete(ctx, policy)).To(refused)
		policy.Spec.Ingress = opening("guarded").Spec.Ingress
		Expect(api.Update(ctx, policy)).To(refused)
	})

	It("goes with its namespace", func(ctx context.Context) {
		ledger(ctx, "passing", nil)
		expectGone(ctx, "passing")
	})

	It("goes before its AppTier, as make undeploy wants it", func(ctx context.Context) {
		ledger(ctx, "undeployed", nil)
		app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "undeployed", Name: "ledger"}}
		Expect(api.Delete(ctx, app, &client.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)})).To(Succeed())
		Eventually(func() bool { return apierrors.IsNotFound(api.Get(ctx, client.ObjectKeyFromObject(app), app)) }, catchesUp, "200ms").Should(BeTrue())
		var policies networkingv1.NetworkPolicyList
		Expect(api.List(ctx, &policies, client.InNamespace("undeployed"))).To(Succeed())
		Expect(policies.Items).To(BeEmpty())
	})
})
