package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apptier/apptier/internal/testenv/manifests"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("the managers, under load", Ordered, func() {
	BeforeAll(func(ctx context.Context) {
		ledger(ctx, "loaded", nil)
		// Each request asks one of the two, and either may have to find its watches again after a spec
		// that stopped the API server.
		Eventually(func(g Gomega) {
			for range 20 {
				g.Expect(api.Create(ctx, opening("loaded"), client.DryRunAll)).NotTo(Succeed())
			}
		}, catchesUp, "100ms").Should(Succeed(), "as soon as both know the AppTier")
	})

	It("are two, on two nodes, and both serve", func(ctx context.Context) {
		nodes := map[string]bool{}
		for _, pod := range managers(ctx) {
			nodes[pod.Spec.NodeName] = true
		}
		Expect(nodes).To(HaveLen(2))
		Expect(serving(ctx)).To(HaveLen(2))
	})

	It("fail no request while both are replaced, the leader too", func(ctx context.Context) {
		l := startLoad(ctx, "loaded")
		before := names(managers(ctx))
		manager := &appsv1.Deployment{}
		Expect(api.Get(ctx, client.ObjectKey{Namespace: manifests.Namespace, Name: "apptier-manager"}, manager)).To(Succeed())
		patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339))
		Expect(api.Patch(ctx, manager, client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
		Eventually(func(g Gomega) {
			after := names(managers(ctx))
			g.Expect(after).To(HaveLen(2))
			g.Expect(after).NotTo(ContainElements(before))
			g.Expect(serving(ctx)).To(HaveLen(2))
		}, catchesUp, "200ms").Should(Succeed())
		l.expectUnharmed()
	})

	It("fail no request while the authority of their certificate is replaced", func(ctx context.Context) {
		l := startLoad(ctx, "loaded")
		key := client.ObjectKey{Namespace: manifests.Namespace, Name: "apptier-webhook-cert"}
		var secret corev1.Secret
		Expect(api.Get(ctx, key, &secret)).To(Succeed())
		old := secret.Data["ca.crt"]
		secret.Data = nil
		Expect(api.Update(ctx, &secret)).To(Succeed())
		Eventually(func(g Gomega) {
			for _, pod := range managers(ctx) {
				g.Expect(servedWith(ctx, &pod, old)).NotTo(Succeed())
			}
		}, catchesUp, "200ms").Should(Succeed())
		Expect(api.Get(ctx, key, &secret)).To(Succeed())
		for _, pod := range managers(ctx) {
			Expect(servedWith(ctx, &pod, secret.Data["ca.crt"])).To(Succeed())
		}
		Eventually(l.count, settles, "50ms").Should(BeNumerically(">", l.count()+20), "with the new certificate")
		l.expectUnharmed()
	})

	// What passes unjudged and why is in docs/design/2026-11-21-two-managers.md.
	It("fail no request when one is killed, and judge all once its address is taken back", func(ctx context.Context) {
		// Not the one that leads: its lease would have the specs that follow wait for a minute.
		killed := follower(ctx)
		l := startLoad(ctx, "loaded")
		Eventually(l.count, settles, "50ms").Should(BeNumerically(">", 20))
		kill(ctx, &killed)
		Eventually(func() []string { return serving(ctx) }, catchesUp, "20ms").ShouldNot(ContainElement(killed.Status.PodIP))
		after := startLoad(ctx, "loaded")
		l.end()
		Expect(l.failed).To(BeEmpty())
		Eventually(func() []string { return serving(ctx) }, catchesUp, "200ms").Should(ContainElement(killed.Status.PodIP))
		Eventually(after.count, settles, "50ms").Should(BeNumerically(">", after.count()+20), "with the killed one back")
		after.expectUnharmed()
	})
})

func names(pods []corev1.Pod) []string {
	var out []string
	for _, pod := range pods {
		out = append(out, pod.Name)
	}
	return out
}

// follower returns a manager that does not lead.
func follower(ctx context.Context) corev1.Pod {
	GinkgoHelper()
	var lease coordinationv1.Lease
	Expect(api.Get(ctx, client.ObjectKey{Namespace: manifests.Namespace, Name: "manager.policy.apptier.dev"}, &lease)).To(Succeed())
	pods := managers(ctx)
	at := slices.IndexFunc(pods, func(pod corev1.Pod) bool {
		return !strings.HasPrefix(ptr.Deref(lease.Spec.HolderIdentity, ""), pod.Name+"_")
	})
	Expect(at).To(BeNumerically(">=", 0), "%s leads, of %v", ptr.Deref(lease.Spec.HolderIdentity, "nobody"), names(pods))
	return pods[at]
}

// kill ends the only process of a manager's container, which has no time to do anything about it.
func kill(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	id := pod.Status.ContainerStatuses[0].ContainerID[len("containerd://"):]
	out, err := kube.Command(ctx, pod.Spec.NodeName, "sh", "-c", `kill -9 "$(cat /run/containerd/io.containerd.runtime.v2.task/k8s.io/`+id+`/init.pid)"`).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
}
