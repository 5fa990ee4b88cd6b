package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/test/scenario"
)

// expectProgrammed waits as "kubectl wait --for=condition=Programmed" does: for the current generation.
func expectProgrammed(ctx context.Context) *v1alpha1.AppTier {
	GinkgoHelper()
	var app v1alpha1.AppTier
	Eventually(func() string {
		Expect(api.Get(ctx, scenario.Shop, &app)).To(Succeed())
		programmed := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionProgrammed)
		if programmed == nil || programmed.ObservedGeneration != app.Generation {
			return "not known yet"
		}
		return fmt.Sprint(programmed.Status, ": ", programmed.Message)
	}, catchesUp, 50*time.Millisecond).Should(HavePrefix(string(metav1.ConditionTrue)), "a spec before this may have taken the leader away")
	return &app
}

// expectObeyed waits until the shop is programmed, and expects that packets obey it then, without another wait.
func expectObeyed(ctx context.Context) *v1alpha1.AppTier {
	GinkgoHelper()
	app := expectProgrammed(ctx)
	Expect(app.Status.Nodes.Desired).To(BeNumerically(">", 1))
	predicted, err := scenario.Predict(ctx, api)
	Expect(err).NotTo(HaveOccurred())
	measured, err := scenario.Measure(ctx, kube)
	Expect(err).NotTo(HaveOccurred())
	Expect(measured.Differences(predicted)).To(BeEmpty(), "measured:\n%s\npredicted:\n%s", measured, predicted)
	return app
}

var _ = Describe("an AppTier that is programmed", func() {
	It("is obeyed on every node at that moment", func(ctx context.Context) {
		applyShop(ctx)
		for range 2 {
			app := expectObeyed(ctx)
			database := &app.Spec.Tiers[len(app.Spec.Tiers)-1]
			Expect(database.Name).To(Equal("database"))
			database.Ingress = nil
			Expect(api.Update(ctx, app)).To(Succeed())
			expectObeyed(ctx)
			applyShop(ctx)
		}
		expectObeyed(ctx)
	})

	It("has reports that go with their nodes", func(ctx context.Context) {
		var reports v1alpha1.NodeReportList
		Expect(api.List(ctx, &reports)).To(Succeed())
		Expect(reports.Items).NotTo(BeEmpty())
		for _, report := range reports.Items {
			Expect(report.OwnerReferences).To(ConsistOf(And(HaveField("Kind", "Node"), HaveField("Name", report.Name))))
			Expect(report.Status.Mode).To(Equal(v1alpha1.EnforcerEnforces))
			Expect(report.Status.Problems).To(BeEmpty())
		}
	})
})
