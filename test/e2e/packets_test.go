package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli"
	"github.com/apptier/apptier/internal/cli/exit"
	runs "github.com/apptier/apptier/internal/cli/packets"
	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/reader"
	"github.com/apptier/apptier/test/scenario"
)

// tryCases tries cases with packets, and returns what is printed, standard error first, and the exit code.
func tryCases(ctx context.Context, cases string, args ...string) (text string, code int) {
	GinkgoHelper()
	var out bytes.Buffer
	command := cli.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(cases), Out: &out, ErrOut: &out})
	command.SetArgs(append([]string{"test", "-f", "-", "--packets", "--connect-timeout=2s", "--kubeconfig", kube.Kubeconfig()}, args...))
	err := command.ExecuteContext(ctx)
	exit.Report(&out, err)
	GinkgoWriter.Println(out.String())
	return out.String(), exit.Code(err)
}

// written is a file of cases of the shop.
func written(cases ...string) string {
	return "apiVersion: test.apptier.dev/v1alpha1\nkind: ConnectionTest\nmetadata: {name: shop, namespace: shop}\ncases:\n- " +
		strings.Join(cases, "\n- ") + "\n"
}

// expectNothingLeft says that of all runs nothing runs, and that no pod is there that they made.
func expectNothingLeft(ctx context.Context) {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(api.List(ctx, &pods)).To(Succeed())
	for _, pod := range pods.Items {
		Expect(pod.Labels).NotTo(HaveKey(runs.LabelRun), pod.Name)
		for _, status := range pod.Status.EphemeralContainerStatuses {
			Expect(status.State.Terminated).NotTo(BeNil(), "%s of %s", status.Name, pod.Name)
		}
	}
}

var _ = Describe("cases that are tried with packets", Ordered, func() {
	BeforeAll(func(ctx context.Context) {
		applyShop(ctx)
		expectProgrammed(ctx)
		DeferCleanup(withoutShop)
	})
	AfterEach(expectNothingLeft)

	It("hold, also of pods that do not run yet", func(ctx context.Context) {
		text, code := tryCases(ctx, written(
			"{from: tier/shop/frontend, to: tier/shop/api, expect: allow}",
			"{from: [tier/shop/api, app=admin], to: tier/shop/database, ports: [pg], expect: allow}",
			"{from: elsewhere/visitor, to: tier/shop/frontend, expect: allow}",
			"{from: tier/shop/frontend, to: kube-system/service/kube-dns, ports: [53/UDP, 53/TCP], expect: allow}",
			"{from: [tier/shop/frontend, elsewhere/visitor], to: tier/shop/database, ports: [pg, 1], expect: deny}",
			"{from: tier/shop/database, to: [tier/shop/api, elsewhere/visitor], ports: [8080], expect: deny}",
			"{name: a second frontend would use the API, from: 'tier=frontend,app=canary', to: tier/shop/api, expect: allow}",
			"{name: a stranger does not, from: [elsewhere/app=stranger, app=stranger], to: [tier/shop/api, tier/shop/database], expect: deny}",
		))
		Expect(text).To(ContainSubstring("8 cases: 8 passed, 0 failed, 0 unknown"))
		Expect(code).To(Equal(0))
		Expect(text).To(ContainSubstring("each of these pods gets an ephemeral container"))
	})

	It("say what was not tried, and that silence over UDP is no answer", func(ctx context.Context) {
		directory, err := repository.Dir(ctx)
		Expect(err).NotTo(HaveOccurred())
		sample, err := os.ReadFile(filepath.Join(directory, "config", "samples", "connection-test", "shop.yaml"))
		Expect(err).NotTo(HaveOccurred())
		// Pods are called as tiers here, so that it must be said which are meant.
		text, code := tryCases(ctx, strings.NewReplacer(" shop/", " tier/shop/", "[shop/", "[tier/shop/").Replace(string(sample)))
		Expect(text).To(And(
			ContainSubstring("ok   the frontend uses the API"),
			ContainSubstring("5 cases: 1 passed, 0 failed, 4 unknown"),
			ContainSubstring("packets are sent from pods, and the source is none"),
			ContainSubstring("there is no such namespace"),
		))
		Expect(code).To(Equal(exit.Unknown))

		text, code = tryCases(ctx, written("{from: tier/shop/frontend, to: tier/shop/api, ports: [8080/UDP], expect: deny}"))
		Expect(text).To(And(ContainSubstring("timed out: shop/frontend -> shop/api, UDP 8080"),
			ContainSubstring("a server that does not answer")))
		Expect(code).To(Equal(exit.Unknown))
	})

	It("fail with the rule that decides", func(ctx context.Context) {
		setShop(ctx, func(spec *v1alpha1.AppTierSpec) {
			spec.Tiers[1].Ingress = nil // nobody uses the API
			database := &spec.Tiers[2]
			database.Ingress[0].From = append(database.Ingress[0].From, v1alpha1.Peer{Tier: ptr.To("frontend")})
		})
		expectProgrammed(ctx)
		text, code := tryCases(ctx, written(
			"{name: the frontend uses the API, from: tier/shop/frontend, to: tier/shop/api, expect: allow}",
			"{name: the frontend keeps off the database, from: tier/shop/frontend, to: tier/shop/database, expect: deny}",
			"{name: the API uses the database, from: tier/shop/api, to: tier/shop/database, expect: allow}",
		))
		Expect(text).To(And(
			ContainSubstring("FAIL the frontend uses the API\n     timed out: shop/frontend -> shop/api, TCP 8080\n"),
			ContainSubstring("AppTier shop/shop spec.tiers[1]"),
			ContainSubstring("FAIL the frontend keeps off the database\n     connected: shop/frontend -> shop/database, TCP 5432\n"),
			ContainSubstring("AppTier shop/shop spec.tiers[2].ingress[0].from[2]"),
			ContainSubstring("3 cases: 1 passed, 2 failed, 0 unknown"),
		))
		Expect(code).To(Equal(exit.Negative))
		applyShop(ctx)
		expectProgrammed(ctx)
	})

	It("are tried from a pod that no ReplicaSet takes and no Service sends to, where none runs", func(ctx context.Context) {
		labels := map[string]string{"app": "canary", "tier": "frontend"}
		meta := metav1.ObjectMeta{Namespace: scenario.Shop.Namespace, Name: "canary"}
		set := &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{
			Replicas: ptr.To[int32](0), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "canary", Image: "none"}}}},
		}}
		service := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}}}
		for _, o := range []client.Object{set, service} {
			Expect(api.Create(ctx, o)).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(api.Delete(ctx, o)).To(Succeed()) })
		}
		watched, done := context.WithCancel(ctx)
		seen := make(chan [2]int) // addresses of the Service, and those that it sends to
		go func() {
			defer GinkgoRecover()
			var all [2]int
			for watched.Err() == nil {
				var slices discoveryv1.EndpointSliceList
				Expect(api.List(ctx, &slices, client.InNamespace(meta.Namespace),
					client.MatchingLabels{discoveryv1.LabelServiceName: meta.Name})).To(Succeed())
				for _, slice := range slices.Items {
					for _, endpoint := range slice.Endpoints {
						all[0]++
						if ptr.Deref(endpoint.Conditions.Ready, true) || ptr.Deref(endpoint.Conditions.Serving, true) {
							all[1]++
						}
					}
				}
				var now appsv1.ReplicaSet
				Expect(api.Get(ctx, client.ObjectKeyFromObject(set), &now)).To(Succeed())
				Expect(now.Status.Replicas).To(BeZero())
			}
			seen <- all
		}()
		text, code := tryCases(ctx, written("{from: replicaset/canary, to: tier/shop/api, expect: allow}"))
		done()
		Expect(code).To(Equal(0), text)
		Expect(text).To(ContainSubstring("pods are made and deleted in shop (app=canary,tier=frontend)"))
		var counts [2]int
		Eventually(seen).Should(Receive(&counts))
		Expect(counts[0]).To(BeNumerically(">", 0), "the Service knows of the pod")
		Expect(counts[1]).To(BeZero(), "and does not send to it")
	})

	It("leave nothing when they are interrupted, and take nothing from another run", func(ctx context.Context) {
		interrupted, interrupt := context.WithCancel(ctx)
		defer interrupt()
		go func() {
			defer GinkgoRecover()
			defer interrupt()
			Eventually(func() []corev1.Pod {
				var made corev1.PodList
				Expect(api.List(ctx, &made, client.HasLabels{runs.LabelRun})).To(Succeed())
				return made.Items
			}, settles, 20*time.Millisecond).ShouldNot(BeEmpty())
		}()
		stranger := written("{from: 'app=stranger', to: tier/shop/database, ports: [1-65535], expect: deny}")
		text, code := tryCases(interrupted, stranger, "--connect-timeout=10s")
		Expect(code).To(Equal(2), text)
		Expect(text).To(ContainSubstring("context canceled"))
		expectNothingLeft(ctx)

		others := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Shop.Namespace, Name: "apptier-test-other-0",
				Labels: map[string]string{runs.LabelRun: "other"}},
			Spec: corev1.PodSpec{
				NodeSelector: map[string]string{"no-such-label": "true"}, ActiveDeadlineSeconds: ptr.To[int64](60),
				Containers: []corev1.Container{{Name: "probe", Image: "none"}},
			},
		}
		Expect(api.Create(ctx, others)).To(Succeed())
		text, code = tryCases(ctx, written("{from: tier/shop/frontend, to: tier/shop/api, expect: allow}"))
		Expect(code).To(Equal(0), text)
		Expect(api.Delete(ctx, others)).To(Succeed(), "a run that goes on keeps its pods")
		Eventually(func() error { return api.Get(ctx, client.ObjectKeyFromObject(others), others) }, settles).ShouldNot(Succeed())
	})

	It("need the rights that their page lists, and name the one that is missing", func(ctx context.Context) {
		directory, err := repository.Dir(ctx)
		Expect(err).NotTo(HaveOccurred())
		page, err := os.ReadFile(filepath.Join(directory, "docs", "packets.md"))
		Expect(err).NotTo(HaveOccurred())
		var role string
		for _, block := range reader.Blocks(page) {
			if strings.Contains(block.Text, "kind: ClusterRole") {
				role = block.Text
			}
		}
		Expect(role).NotTo(BeEmpty())
		who := "system:serviceaccount:shop:tester"
		bindings := func(roles ...string) string {
			var all strings.Builder
			for _, role := range roles {
				fmt.Fprintf(&all, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: e2e-%[1]s}\n"+
					"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}\n"+
					"subjects: [{kind: ServiceAccount, namespace: shop, name: tester}]\n", role)
			}
			return all.String()
		}
		cases := written("{from: [tier/shop/frontend, 'tier=frontend,app=canary'], to: tier/shop/api, expect: allow}")
		Expect(kube.Apply(ctx, []byte(role+bindings("apptier-test-reads")))).To(Succeed())
		Eventually(func(g Gomega) {
			text, code := tryCases(ctx, cases, "--as", who)
			g.Expect(code).To(Equal(2))
			g.Expect(text).To(ContainSubstring("you may not create pods in namespace shop, nor delete pods in namespace shop, " +
				"nor patch pods/ephemeralcontainers in namespace shop, which --packets needs"))
		}, settles).Should(Succeed(), "RBAC is told of the role")
		Expect(kube.Apply(ctx, []byte(bindings("apptier-test-packets")))).To(Succeed())
		Eventually(func(g Gomega) {
			text, code := tryCases(ctx, cases, "--as", who)
			g.Expect(code).To(Equal(0), text)
		}, settles).Should(Succeed())
	})
})
