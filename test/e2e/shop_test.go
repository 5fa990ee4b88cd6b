package e2e

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/apptier/apptier/internal/testenv/manifests"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/scenario"
)

const (
	// settles is how long nodes have to follow a change on a busy machine.
	settles = 20 * time.Second
	// catchesUp is how long everything has to follow again after the API server was gone: watches
	// are tried again after up to a minute (client-go's reflector), and some are a second step.
	catchesUp = 2 * time.Minute
)

// expectPredicted waits until what is measured from inside the pods is what policy/reach predicts.
func expectPredicted(ctx context.Context) {
	GinkgoHelper()
	expectPredictedWithin(ctx, settles)
}

func expectPredictedWithin(ctx context.Context, limit time.Duration) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		predicted, err := scenario.Predict(ctx, api)
		g.Expect(err).NotTo(HaveOccurred())
		measured, err := scenario.Measure(ctx, kube)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(measured.Differences(predicted)).To(BeEmpty(), "measured:\n%s\npredicted:\n%s", measured, predicted)
	}, limit, time.Second).Should(Succeed())
}

// relabel makes the administrator's pod one of another tier.
func relabel(ctx context.Context, tier string) {
	GinkgoHelper()
	var pod corev1.Pod
	Expect(api.Get(ctx, client.ObjectKey{Namespace: scenario.Shop.Namespace, Name: "admin"}, &pod)).To(Succeed())
	pod.Labels["tier"] = tier
	Expect(api.Update(ctx, &pod)).To(Succeed())
}

// expectIsolated says that the visitor cannot reach the database, now and for a while.
func expectIsolated(ctx context.Context) {
	GinkgoHelper()
	Consistently(func() (bool, error) { return scenario.Isolated(ctx, kube) }, 3*time.Second, 500*time.Millisecond).Should(BeTrue())
}

func applyShop(ctx context.Context) {
	GinkgoHelper()
	sample, err := manifests.Kustomize(ctx, "config", "samples")
	Expect(err).NotTo(HaveOccurred())
	Expect(kube.Apply(ctx, sample)).To(Succeed())
	Expect(scenario.WaitAppTier(ctx, api, scenario.Shop)).To(Succeed())
}

func shopPolicies(ctx context.Context) map[string]networkingv1.NetworkPolicySpec {
	GinkgoHelper()
	var list networkingv1.NetworkPolicyList
	Expect(api.List(ctx, &list, client.InNamespace(scenario.Shop.Namespace))).To(Succeed())
	specs := map[string]networkingv1.NetworkPolicySpec{}
	for _, policy := range list.Items {
		specs[policy.Name] = policy.Spec
	}
	return specs
}

var _ = Describe("the shop", Ordered, func() {
	It("is open before any policy", func(ctx context.Context) {
		shop := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Shop.Namespace, Name: scenario.Shop.Name}}
		Expect(client.IgnoreNotFound(api.Delete(ctx, shop))).To(Succeed(), "another spec's")
		Eventually(func() map[string]networkingv1.NetworkPolicySpec { return shopPolicies(ctx) }, catchesUp).Should(BeEmpty())
		measured, err := scenario.Measure(ctx, kube)
		Expect(err).NotTo(HaveOccurred())
		for row := range measured.Open {
			Expect(measured.Open[row]).NotTo(ContainElement(false), "%s", measured)
		}
		expectPredicted(ctx)
	})

	It("allows what the sample declares, and nothing else", func(ctx context.Context) {
		applyShop(ctx)
		Expect(shopPolicies(ctx)).To(And(HaveLen(3), HaveKey("shop.tier.frontend"), HaveKey("shop.tier.api"), HaveKey("shop.tier.database")))
		expectPredicted(ctx)
		expectIsolated(ctx)
	})

	It("gets a deleted policy back within a second", func(ctx context.Context) {
		want := shopPolicies(ctx)["shop.tier.database"]
		collector := as("system:serviceaccount:kube-system:generic-garbage-collector") // one of the few that may
		Expect(collector.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Shop.Namespace, Name: "shop.tier.database"}})).To(Succeed())
		Eventually(func() networkingv1.NetworkPolicySpec { return shopPolicies(ctx)["shop.tier.database"] }, time.Second, 10*time.Millisecond).Should(Equal(want))
		expectPredicted(ctx)
	})

	It("follows a pod that changes its tier", func(ctx context.Context) {
		relabel(ctx, "frontend")
		expectPredicted(ctx)
		relabel(ctx, "admin")
		expectPredicted(ctx)
	})

	It("stays filtered while the enforcer is gone", func(ctx context.Context) {
		var enforcer appsv1.DaemonSet
		key := client.ObjectKey{Namespace: manifests.EnforcerNamespace, Name: "apptier-enforcer"}
		Expect(api.Get(ctx, key, &enforcer)).To(Succeed())
		nowhere := enforcer.DeepCopy()
		nowhere.Spec.Template.Spec.NodeSelector = map[string]string{"no-such-label": "true"}
		Expect(api.Patch(ctx, nowhere, client.MergeFrom(&enforcer))).To(Succeed())
		Eventually(func() int32 {
			Expect(api.Get(ctx, key, nowhere)).To(Succeed())
			return nowhere.Status.CurrentNumberScheduled
		}, settles, 100*time.Millisecond).Should(BeZero())
		expectIsolated(ctx)

		restored := nowhere.DeepCopy()
		restored.Spec.Template.Spec.NodeSelector = nil
		Expect(api.Patch(ctx, restored, client.MergeFrom(nowhere))).To(Succeed())
		expectPredicted(ctx)
	})

	It("stays filtered while the API server is gone", func(ctx context.Context) {
		rules := func() string {
			out, err := kube.Command(ctx, "n1", "nft", "--stateless", "list", "table", "inet", "apptier").CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			return strings.Join(slices.DeleteFunc(strings.SplitAfter(string(out), "\n\t}\n"), func(part string) bool {
				return strings.Contains(part, "flags dynamic") // packets write these
			}), "")
		}
		before, restarts := rules(), managerRestarts(ctx)
		Expect(kube.Stop(ctx, "cp", "kube-apiserver")).To(Succeed())
		// Also what ended because the API server did.
		restart := func(ctx context.Context) error {
			_, err := cluster.Up(ctx, cluster.Options{Name: name, Progress: GinkgoWriter})
			return err
		}
		DeferCleanup(func(ctx context.Context) { Expect(restart(ctx)).To(Succeed()) })
		Consistently(rules, 12*time.Second, 3*time.Second).Should(Equal(before))
		Expect(restart(ctx)).To(Succeed())
		relabel(ctx, "frontend")
		expectPredictedWithin(ctx, catchesUp)
		relabel(ctx, "admin")
		expectPredictedWithin(ctx, catchesUp)
		applyShop(ctx) // the webhook is there all along
		Expect(managerRestarts(ctx)).To(Equal(restarts))
	})
})

var _ = Describe("a rejected AppTier", func() {
	It("says path, reason and fix, and leaves nothing behind", func(ctx context.Context) {
		tier := "fronted"
		app := &v1alpha1.AppTier{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "typo"},
			Spec: v1alpha1.AppTierSpec{Tiers: []v1alpha1.Tier{
				{Name: "frontend", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "frontend"}}},
				{
					Name: "api", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "api"}},
					Ports:   []v1alpha1.TierPort{{Port: 80}},
					Ingress: []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Tier: &tier}}}},
				},
			}},
		}
		Expect(api.Create(ctx, app)).To(MatchError(And(
			ContainSubstring("spec.tiers[1].ingress[0].from[0].tier"), ContainSubstring(`there is no tier "fronted"`), ContainSubstring("did you mean frontend?"))))
		Expect(apierrors.IsNotFound(api.Get(ctx, client.ObjectKeyFromObject(app), app))).To(BeTrue())
	})
})

var _ = Describe("a deleted AppTier", func() {
	It("takes its policies with it, and nothing else", func(ctx context.Context) {
		applyShop(ctx)
		other := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Shop.Namespace, Name: "other"},
			Spec: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "nobody"}}}}
		Expect(api.Create(ctx, other)).To(Succeed())
		Expect(api.Delete(ctx, &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Shop.Namespace, Name: scenario.Shop.Name}})).To(Succeed())
		// The garbage collector watches too.
		Eventually(func() map[string]networkingv1.NetworkPolicySpec { return shopPolicies(ctx) }, catchesUp, 100*time.Millisecond).
			Should(And(HaveLen(1), HaveKey("other")))
		Expect(api.Delete(ctx, other)).To(Succeed())
		expectPredicted(ctx)
	})
})
