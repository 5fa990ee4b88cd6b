package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/scenario"
)

// What docs/reference/versions.md promises: from one version to the next and back, what is declared works, and nothing else.
var _ = Describe("an upgrade and a downgrade", Ordered, func() {
	const name = "e2e-upgrade"
	var (
		other  *cluster.Cluster
		road   *road
		before previous
	)

	BeforeAll(func(ctx context.Context) {
		before = buildPrevious(ctx)
		Expect(cluster.Down(ctx, name)).To(Or(Succeed(), MatchError(cluster.ErrNotFound)), "what an earlier run left")
		now, err := scenario.Images(ctx)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx context.Context) { Expect(cluster.Down(ctx, name)).To(Succeed()) })
		other, err = cluster.Up(ctx, cluster.Options{Name: name, Progress: GinkgoWriter})
		Expect(err).NotTo(HaveOccurred())
		Expect(other.Load(ctx, append(now, before.images...)...)).To(Succeed())
		Expect(scenario.InstallManifests(ctx, other, before.install)).To(Succeed())
		road = newRoad(ctx, other)
	})

	It("lose no packet that is allowed, let none pass that is not, and keep what is stored", func(ctx context.Context) {
		stored := road.store(ctx, before.source)
		usual, err := manifests.Kustomize(ctx, "config", "default")
		Expect(err).NotTo(HaveOccurred())

		By("upgrading")
		road.under(ctx, "up", func() { Expect(scenario.InstallManifests(ctx, other, usual)).To(Succeed()) })
		Expect(road.specs(ctx)).To(Equal(stored))

		By("going back, but for the kinds")
		road.under(ctx, "down", func() {
			Expect(scenario.InstallManifests(ctx, other, withoutKinds(before.install))).To(Succeed())
		})
		Expect(road.specs(ctx)).To(Equal(stored))
	})
})

// withoutKinds leaves the definitions of kinds out of manifests.
func withoutKinds(install []byte) []byte {
	kinds := regexp.MustCompile(`(?ms)^apiVersion: apiextensions.k8s.io/v1\n.*?(^---\n|\z)`)
	return kinds.ReplaceAll(install, nil)
}

// road is an application on two nodes whose pods send all the time, and another namespace whose pod does.
type road struct {
	*cluster.Cluster
	api client.Client
}

const (
	roadNamespace = "road"
	roadPort      = 9000
)

func newRoad(ctx context.Context, on *cluster.Cluster) *road {
	GinkgoHelper()
	tar, err := build.GoImage{Ref: "apptier/traffic:e2e", Module: "test", Package: "./e2e/traffic"}.Write(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(on.Load(ctx, tar)).To(Succeed())
	api, err := scenario.Client(on)
	Expect(err).NotTo(HaveOccurred())
	r := &road{on, api}
	for _, namespace := range []string{roadNamespace, "besides"} {
		Expect(scenario.CreateNamespace(ctx, api, namespace)).To(Succeed())
	}
	tier := func(name string, from ...v1alpha1.Peer) v1alpha1.Tier {
		t := v1alpha1.Tier{
			Name: name, PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": name}},
			Ports: []v1alpha1.TierPort{{Port: roadPort, Protocol: corev1.ProtocolUDP}},
		}
		if len(from) > 0 {
			t.Ingress = []v1alpha1.IngressRule{{From: from}}
		}
		return t
	}
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: roadNamespace, Name: "road"}, Spec: v1alpha1.AppTierSpec{
		Tiers: []v1alpha1.Tier{tier("sender"), tier("listener", v1alpha1.Peer{Tier: ptr.To("sender")}), tier("vault")},
	}}
	Expect(api.Create(ctx, app)).To(Succeed())
	Expect(scenario.WaitAppTier(ctx, api, client.ObjectKeyFromObject(app))).To(Succeed())
	return r
}

// store applies the samples of a version, and returns what the API server has stored of all AppTiers.
func (r *road) store(ctx context.Context, source string) map[string]any {
	GinkgoHelper()
	samples, err := manifests.KustomizeDir(source + "/config/samples")
	Expect(err).NotTo(HaveOccurred())
	Expect(scenario.CreateNamespace(ctx, r.api, scenario.Shop.Namespace)).To(Succeed())
	Expect(r.Apply(ctx, samples)).To(Succeed())
	stored := r.specs(ctx)
	Expect(len(stored)).To(BeNumerically(">=", 2))
	return stored
}

// specs are what is stored, with the fields that this version may not know.
func (r *road) specs(ctx context.Context) map[string]any {
	GinkgoHelper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AppTierList"))
	Expect(r.api.List(ctx, list)).To(Succeed())
	specs := map[string]any{}
	for _, item := range list.Items {
		specs[item.GetNamespace()+"/"+item.GetName()] = item.Object["spec"]
	}
	return specs
}

// counts are what a pod of test/e2e/traffic tells.
type counts struct {
	Sent, Came map[string]int
	Full       int
}

// under does something while datagrams are sent from one node to the other: by a sender to a listener, which is allowed; to a
// vault, which its own node drops and the vault's too; and by a stranger whom nothing isolates to both, which only theirs drops.
func (r *road) under(ctx context.Context, run string, do func()) {
	GinkgoHelper()
	pod := func(namespace, name, node string, args ...string) *corev1.Pod {
		return r.start(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-" + run, Labels: map[string]string{"tier": name}},
			Spec: corev1.PodSpec{
				NodeName: node, RestartPolicy: corev1.RestartPolicyNever,
				Containers: []corev1.Container{{Name: "traffic", Image: "apptier/traffic:e2e", ImagePullPolicy: corev1.PullNever, Args: args}},
			},
		})
	}
	at := func(pod *corev1.Pod) string { return fmt.Sprintf("%s:%d", pod.Status.PodIP, roadPort) }
	port := fmt.Sprint(roadPort)
	listener, vault := pod(roadNamespace, "listener", "n2", "listen", port), pod(roadNamespace, "vault", "n2", "listen", port)
	sender := pod(roadNamespace, "sender", "n1", "send", "await="+at(listener), at(vault))
	stranger := pod("besides", "stranger", "n1", "send", at(listener), at(vault))

	do()

	sent, strange := r.stop(ctx, sender).Sent, r.stop(ctx, stranger).Sent
	heard, kept := r.stop(ctx, listener), r.stop(ctx, vault)
	AddReportEntry("datagrams, "+run, fmt.Sprint(sent, strange, heard, kept))
	for _, tried := range []int{sent[at(listener)], sent[at(vault)], strange[at(listener)], strange[at(vault)]} {
		Expect(tried).To(BeNumerically(">", 500), "too few to say anything")
	}
	Expect(kept.Came).To(BeEmpty(), "what came to the vault")
	Expect(kept.Full).To(BeZero())
	arrived := maps.Clone(heard.Came)
	arrived[sender.Status.PodIP] += heard.Full
	Expect(arrived).To(Equal(map[string]int{sender.Status.PodIP: sent[at(listener)]}), "what came to the listener, by who sent it")
}

// start has a pod run, and returns it with its address.
func (r *road) start(ctx context.Context, pod *corev1.Pod) *corev1.Pod {
	GinkgoHelper()
	Expect(r.api.Create(ctx, pod)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(r.api.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning))
		g.Expect(pod.Status.PodIP).NotTo(BeEmpty())
	}, catchesUp, "100ms").Should(Succeed())
	return pod
}

// stop ends a pod, and returns what it tells. What is on its way arrives before the next one is stopped.
func (r *road) stop(ctx context.Context, pod *corev1.Pod) (told counts) {
	GinkgoHelper()
	_, stderr, err := r.Exec(ctx, client.ObjectKeyFromObject(pod), "traffic", "/traffic", "stop")
	Expect(err).NotTo(HaveOccurred(), stderr)
	Eventually(func(g Gomega) {
		g.Expect(r.api.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Status.Phase).To(Equal(corev1.PodSucceeded))
	}, catchesUp, "100ms").Should(Succeed())
	Expect(json.Unmarshal([]byte(pod.Status.ContainerStatuses[0].State.Terminated.Message), &told)).To(Succeed())
	Expect(r.api.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
	return told
}
