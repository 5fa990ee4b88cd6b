package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/scenario"
)

// What docs/networks.md says of enforcers beside a network plugin that enforces, on the CNI plugin bridge: kube-router's
// controller of NetworkPolicies, which is not ours in any part, drops and lets through.
var _ = Describe("enforcers that observe", Ordered, func() {
	const name = "e2e-observe"
	var (
		on     *watched
		router string
	)

	BeforeAll(func(ctx context.Context) {
		router = buildKubeRouter(ctx)
		Expect(cluster.Down(ctx, name)).To(Or(Succeed(), MatchError(cluster.ErrNotFound)), "what an earlier run left")
		images, err := scenario.Images(ctx)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx context.Context) { Expect(cluster.Down(ctx, name)).To(Succeed()) })
		other, err := cluster.Up(ctx, cluster.Options{Name: name, Shape: cluster.Shape{CNI: cluster.CNIBridge}, Progress: GinkgoWriter})
		Expect(err).NotTo(HaveOccurred())
		Expect(other.Load(ctx, images...)).To(Succeed())
		Expect(scenario.InstallManifests(ctx, other, withComponents(ctx, "observe", "record-allowed"))).To(Succeed())
		Expect(scenario.DeployShop(ctx, other)).To(Succeed())
		client, err := scenario.Client(other)
		Expect(err).NotTo(HaveOccurred())
		on = &watched{Cluster: other, api: client}
	})

	It("drop nothing where nobody else enforces, and know what policies deny", func(ctx context.Context) {
		on.applyShop(ctx)
		begun := time.Now()
		for i, row := range on.measure(ctx).Open {
			Expect(row).To(HaveEach(true), "from pod %d", i)
		}
		on.expectSeen(ctx, begun, on.predict(ctx), connections.Denied)
	})

	It("see right what another enforcer drops, and what it lets through", func(ctx context.Context) {
		startKubeRouter(ctx, on.Cluster, router)
		Eventually(func() []string { return on.measure(ctx).Differences(on.predict(ctx)) }, catchesUp, time.Second).Should(BeEmpty())
		begun := time.Now()
		on.expectSeen(ctx, begun, on.measure(ctx), connections.Denied)
		Expect(on.condition(ctx, v1alpha1.ConditionProgrammed)).To(HaveField("Status", metav1.ConditionUnknown), "another enforces")
	})

	It("know enough for an AppTier under which the same passes, and nothing else", func(ctx context.Context) {
		startKubeRouter(ctx, on.Cluster, router)
		before := on.measure(ctx)
		on.deleteAppTiers(ctx) // or learn has nothing to add to them
		learned := runPlugin(ctx, on.Kubeconfig(), "learn", "--cluster", "-n", scenario.Shop.Namespace)
		Expect(on.Apply(ctx, []byte(strings.ReplaceAll(learned, "mode: Audit", "mode: Enforce")))).To(Succeed())
		Eventually(func() []string { return on.measure(ctx).Differences(before) }, catchesUp, time.Second).Should(BeEmpty(), "%s", learned)
		on.deleteAppTiers(ctx)
		on.applyShop(ctx)
	})

	It("audit, while another enforces", func(ctx context.Context) {
		startKubeRouter(ctx, on.Cluster, router)
		denied := on.predict(ctx)
		Expect(on.api.Patch(ctx, &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Shop.Namespace, Name: scenario.Shop.Name}},
			client.RawPatch(types.MergePatchType, []byte(`{"spec":{"mode":"Audit"}}`)))).To(Succeed())
		Eventually(func() *metav1.Condition { return on.condition(ctx, v1alpha1.ConditionProgrammed) }, catchesUp, 100*time.Millisecond).
			Should(HaveField("Status", metav1.ConditionTrue), "they judge staged policies")
		Eventually(func() []string { return on.measure(ctx).Differences(on.predict(ctx)) }, catchesUp, time.Second).Should(BeEmpty())
		Expect(on.predict(ctx).Differences(denied)).NotTo(BeEmpty(), "nothing is denied any more")

		begun := time.Now()
		on.measure(ctx)
		on.expectSeen(ctx, begun, denied, connections.WouldDeny)
		Eventually(func() *metav1.Condition { return on.condition(ctx, v1alpha1.ConditionAudited) }, time.Minute, 100*time.Millisecond).
			Should(HaveField("Reason", v1alpha1.ReasonWouldDeny))
	})
})

// watched is a cluster whose enforcers record everything.
type watched struct {
	*cluster.Cluster
	api client.Client
}

// applyShop applies the sample, and waits until nodes have its policies.
func (w *watched) applyShop(ctx context.Context) {
	GinkgoHelper()
	sample, err := manifests.Kustomize(ctx, "config", "samples")
	Expect(err).NotTo(HaveOccurred())
	Expect(w.Apply(ctx, sample)).To(Succeed())
	Eventually(func() *metav1.Condition { return w.condition(ctx, v1alpha1.ConditionProgrammed) }, catchesUp, 100*time.Millisecond).
		Should(HaveField("Message", ContainSubstring("of 2 nodes only observe")))
}

// deleteAppTiers deletes those of the shop, and waits until their policies are gone.
func (w *watched) deleteAppTiers(ctx context.Context) {
	GinkgoHelper()
	Expect(w.api.DeleteAllOf(ctx, &v1alpha1.AppTier{}, client.InNamespace(scenario.Shop.Namespace))).To(Succeed())
	Eventually(func() []networkingv1.NetworkPolicy {
		var list networkingv1.NetworkPolicyList
		Expect(w.api.List(ctx, &list, client.InNamespace(scenario.Shop.Namespace))).To(Succeed())
		return list.Items
	}, settles).Should(BeEmpty())
}

// condition is one of the shop's AppTier; nil if it is not about the present spec.
func (w *watched) condition(ctx context.Context, name string) *metav1.Condition {
	GinkgoHelper()
	var app v1alpha1.AppTier
	Expect(w.api.Get(ctx, scenario.Shop, &app)).To(Succeed())
	condition := meta.FindStatusCondition(app.Status.Conditions, name)
	if condition == nil || condition.ObservedGeneration != app.Generation {
		return nil
	}
	return condition
}

// predict is what NetworkPolicies say.
func (w *watched) predict(ctx context.Context) scenario.Matrix {
	GinkgoHelper()
	predicted, err := scenario.Predict(ctx, w.api)
	Expect(err).NotTo(HaveOccurred())
	return predicted
}

// measure is what pods find out.
func (w *watched) measure(ctx context.Context) scenario.Matrix {
	GinkgoHelper()
	measured, err := scenario.Measure(ctx, w)
	Expect(err).NotTo(HaveOccurred())
	return measured
}

// expectSeen waits until nodes tell that since a time every connection was allowed or denied as a matrix says, and none both.
func (w *watched) expectSeen(ctx context.Context, since time.Time, want scenario.Matrix, closed connections.Verdict) {
	GinkgoHelper()
	snapshot, err := scenario.Snapshot(ctx, w.api)
	Expect(err).NotTo(HaveOccurred())
	Eventually(func(g Gomega) {
		list, err := scenario.Connections(ctx, w, metav1.NamespaceAll)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(list.Missing).To(BeEmpty())
		found, unclear := scenario.Seen(list, snapshot, since, closed)
		g.Expect(unclear).To(BeEmpty())
		g.Expect(found.Differences(want)).To(BeEmpty(), "seen:\n%s\nexpected:\n%s", found, want)
	}, settles, 100*time.Millisecond).Should(Succeed())
}

// withComponents is config/default with components.
func withComponents(ctx context.Context, names ...string) []byte {
	GinkgoHelper()
	root, err := repository.Dir(ctx)
	Expect(err).NotTo(HaveOccurred())
	dir := GinkgoT().TempDir()
	relative, err := filepath.Rel(dir, filepath.Join(root, "config"))
	Expect(err).NotTo(HaveOccurred())
	text := fmt.Sprintf("resources: [%s/default]\ncomponents:\n", relative)
	for _, name := range names {
		text += fmt.Sprintf("- %s/components/%s\n", relative, name)
	}
	Expect(os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600)).To(Succeed())
	built, err := manifests.KustomizeDir(dir)
	Expect(err).NotTo(HaveOccurred())
	return built
}
