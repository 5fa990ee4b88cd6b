package e2e

import (
	"context"
	"slices"

	"github.com/apptier/apptier/internal/testenv/manifests"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A flush of a node's ruleset takes kube-proxy's rules as well, and with them the way to the API server.
var _ = Describe("an enforcer on a node that has lost all rules", func() {
	It("starts nevertheless, as it knows the API server's own address", func(ctx context.Context) {
		const node = "n1"
		enforcers(ctx)
		Eventually(func() ([]byte, error) {
			return kube.Command(ctx, node, "cat", "/run/apptier/api-servers").Output()
		}, catchesUp, "200ms").Should(ContainSubstring(":"))
		Expect(kube.Stop(ctx, node, "kube-proxy")).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(kube.Start(ctx, node, "kube-proxy")).To(Succeed()) })
		run(ctx, node, "nft", "flush", "ruleset")
		before := enforcerOn(ctx, node)
		Expect(api.Delete(ctx, &before)).To(Succeed())

		Eventually(func() bool {
			pod := enforcerOn(ctx, node)
			return pod.UID != before.UID && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			})
		}, catchesUp, "200ms").Should(BeTrue())
		Expect(run(ctx, node, "nft", "list", "tables")).To(And(ContainSubstring("inet apptier"), Not(ContainSubstring("kube-proxy"))))
	})
})

// enforcerOn returns the enforcer's pod of a node that is not going, or nothing.
func enforcerOn(ctx context.Context, node string) corev1.Pod {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(api.List(ctx, &pods, client.InNamespace(manifests.EnforcerNamespace), client.MatchingLabels{"app.kubernetes.io/component": "enforcer"})).To(Succeed())
	for _, pod := range pods.Items {
		if pod.Spec.NodeName == node && pod.DeletionTimestamp == nil {
			return pod
		}
	}
	return corev1.Pod{}
}
