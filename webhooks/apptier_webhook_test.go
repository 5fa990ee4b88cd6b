package webhooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
)

func TestAppTierWebhook(t *testing.T) {
	config := startWebhooks(t)
	c := strictClient(t, config)
	t.Run("refuses the corpus of mistakes", func(t *testing.T) { testCorpus(t, c) })
	t.Run("says everything at once, with path, reason and fix", func(t *testing.T) { testAllAtOnce(t, c) })
	t.Run("judges updates of the spec, and nothing else", func(t *testing.T) { testUpdates(t, c) })
	t.Run("refuses what would open another AppTier of the namespace", func(t *testing.T) { testConflict(t, c) })
	t.Run("refuses what a policy of the namespace opens already", func(t *testing.T) { testOpened(t, config) })
	t.Run("passes warnings on", func(t *testing.T) { testWarnings(t, config) })
	t.Run("warns of references to what is not there", func(t *testing.T) { testUnresolved(t, config) })
	t.Run("judges beside the pods and Services that there are", func(t *testing.T) { testBeside(t, config) })
}

// testCorpus: what policy/lint refuses, the API server refuses, by its schema or by the webhook.
func testCorpus(t *testing.T, c client.Client) {
	files, err := filepath.Glob("../policy/lint/apptier/testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no AppTiers in the corpus: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			g := NewWithT(t)
			err := c.Create(t.Context(), read(g, file))
			g.Expect(err).To(HaveOccurred(), "accepted")
			g.Expect(errors.IsInvalid(err) || errors.IsBadRequest(err)).To(BeTrue(), "%v", err)
			t.Log(err)
		})
	}
}

func read(g *WithT, file string) *unstructured.Unstructured {
	text, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	object := &unstructured.Unstructured{}
	g.Expect(yaml.Unmarshal(text, &object.Object)).To(Succeed())
	return object
}

func testAllAtOnce(t *testing.T, c client.Client) {
	g := NewWithT(t)
	err := c.Create(t.Context(), read(g, "../policy/lint/apptier/testdata/several-mistakes.yaml"))
	g.Expect(err).To(MatchError(And(
		ContainSubstring("denied the request: AppTier shop is refused:"),
		ContainSubstring("from[0].tier: "), ContainSubstring("to[0].tier: "), ContainSubstring("to[1].networks.cidrs[0]: "))))
	status, ok := err.(errors.APIStatus)
	g.Expect(ok).To(BeTrue())
	g.Expect(len(status.Status().Details.Causes)).To(BeNumerically(">=", 3), "programs get each as a cause")
}

func valid() *v1alpha1.AppTier {
	return &v1alpha1.AppTier{
		ObjectMeta: metav1.ObjectMeta{Name: "valid", Namespace: "default"},
		Spec: v1alpha1.AppTierSpec{Tiers: []v1alpha1.Tier{{
			Name:        "api",
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "api"}},
		}}},
	}
}

func testUpdates(t *testing.T, c client.Client) {
	g, ctx, app := NewWithT(t), t.Context(), valid()
	g.Expect(c.Create(ctx, app)).To(Succeed())
	app.Spec.Tiers[0].Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Tier: &app.Spec.Tiers[0].Name}}, AllPorts: true}}
	g.Expect(c.Update(ctx, app)).To(MatchError(ContainSubstring("declared-at-receiver")))
	g.Expect(c.Get(ctx, client.ObjectKeyFromObject(app), app)).To(Succeed())
	g.Expect(app.Spec.Tiers[0].Egress).To(BeEmpty())
	app.Labels = map[string]string{"team": "billing"}
	g.Expect(c.Update(ctx, app)).To(Succeed())
}

func testConflict(t *testing.T, c client.Client) {
	g, ctx, app := NewWithT(t), t.Context(), valid()
	app.Namespace, app.Name = "kube-public", "isolated"
	g.Expect(c.Create(ctx, app)).To(Succeed())
	perimeter := &v1alpha1.AppTier{
		ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: "perimeter"},
		Spec:       v1alpha1.AppTierSpec{Isolation: v1alpha1.Isolation{Scope: v1alpha1.ScopeNamespace, SameNamespace: v1alpha1.SameNamespaceAllow}},
	}
	g.Eventually(func() error { return c.Create(ctx, perimeter.DeepCopy(), client.DryRunAll) }, 10*time.Second, 50*time.Millisecond).
		Should(MatchError(ContainSubstring("sameNamespace: Allow for every pod of the namespace would open tier api of AppTier isolated")))
	perimeter.Namespace = "default"
	perimeter.Spec.Isolation.SameNamespace = v1alpha1.SameNamespaceDeny
	g.Expect(c.Create(ctx, perimeter, client.DryRunAll)).To(Succeed())
}

// testOpened: whichever comes first, a policy that opens an AppTier and that AppTier are not let be beside
// each other without a reason.
func testOpened(t *testing.T, config *rest.Config) {
	g, ctx := NewWithT(t), t.Context()
	recorder, c := recordingClient(t, config)
	g.Expect(c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "opened"}})).To(Succeed())
	open := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "opened", Name: "older"}, Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "api"}},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}}},
	}}
	g.Expect(c.Create(ctx, open)).To(Succeed(), "there is no AppTier yet")
	app := valid()
	app.Namespace = "opened"
	try := func() error { recorder.warnings = nil; return c.Create(ctx, app.DeepCopy(), client.DryRunAll) }
	g.Eventually(try, 10*time.Second, 50*time.Millisecond).Should(MatchError(And(
		ContainSubstring("spec.tiers: NetworkPolicy older lets any pod of namespace opened reach"), ContainSubstring("(widening)"),
		ContainSubstring("fix: declare it here, or delete NetworkPolicy older; while you need it, annotate it with policy.apptier.dev/allow-widening: the reason"))))

	open.Annotations = map[string]string{"policy.apptier.dev/allow-widening": "until the last client has moved"}
	g.Expect(c.Update(ctx, open)).To(Succeed())
	g.Eventually(try, 10*time.Second, 50*time.Millisecond).Should(Succeed())
	g.Expect(recorder.warnings).To(ConsistOf(ContainSubstring("gives the reason: until the last client has moved")))
	g.Expect(c.Create(ctx, app)).To(Succeed())

	open.Annotations = nil
	g.Expect(c.Update(ctx, open)).To(Succeed(), "as long as no policy stands for the AppTier: no controller runs here")
	app.Spec.Tiers = append(app.Spec.Tiers, v1alpha1.Tier{Name: "db", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "db"}}})
	g.Eventually(func() []string {
		recorder.warnings = nil
		g.Expect(c.Update(ctx, app.DeepCopy(), client.DryRunAll)).To(Succeed(), "it was open before")
		return recorder.warnings
	}, 10*time.Second, 50*time.Millisecond).Should(ConsistOf(And(ContainSubstring("NetworkPolicy older lets"), Not(ContainSubstring("gives the reason")))))
}

func testWarnings(t *testing.T, config *rest.Config) {
	g := NewWithT(t)
	recorder, c := recordingClient(t, config)
	app := valid()
	app.Name, app.Spec.Tiers[0].PodSelector.MatchLabels["tier"] = "warned", "warned"
	app.Spec.Tiers[0].Isolate = []v1alpha1.Direction{v1alpha1.Ingress}
	app.Spec.Tiers[0].Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Internet: &v1alpha1.InternetPeer{}}}, AllPorts: true}}
	g.Expect(c.Create(t.Context(), app, client.DryRunAll)).To(Succeed(), "dry run works")
	g.Expect(recorder.warnings).To(ConsistOf(ContainSubstring("spec.tiers[0].egress: tier api does not isolate egress")))
}

// testBeside: what only the cluster shows is said, and refused if it is certain.
func testBeside(t *testing.T, config *rest.Config) {
	g, ctx := NewWithT(t), t.Context()
	recorder, c := recordingClient(t, config)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "beside"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "beside", Name: "web-0", Labels: map[string]string{"tier": "web", "role": "admin"}}}
	pod.Spec.Containers = []corev1.Container{{Name: "main", Image: "none", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "beside", Name: "web"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"tier": "web"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}}}
	for _, object := range []client.Object{namespace, pod, service} {
		g.Expect(c.Create(ctx, object)).To(Succeed())
	}
	app := valid()
	app.Namespace, app.Spec.Tiers[0].PodSelector.MatchLabels["tier"] = "beside", "wbe"
	app.Spec.Tiers[0].Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Service: &v1alpha1.ServiceReference{Name: "webb"}}}}}
	g.Eventually(func() []string {
		recorder.warnings = nil
		g.Expect(c.Create(ctx, app.DeepCopy(), client.DryRunAll)).To(Succeed())
		return recorder.warnings
	}, 10*time.Second, 50*time.Millisecond).Should(ConsistOf(
		And(ContainSubstring("spec.tiers[0].podSelector: no pod of namespace beside has tier=wbe"), ContainSubstring("did you mean tier: web?")),
		And(ContainSubstring("spec.tiers[0].egress[0].to[0].service: there is no Service beside/webb"), ContainSubstring("did you mean web?")),
	))

	app.Spec.Tiers[0].PodSelector.MatchLabels["tier"], app.Spec.Tiers[0].Egress = "web", nil
	app.Spec.Tiers[0].Ports = []v1alpha1.TierPort{{Port: 80}}
	app.Spec.Tiers[0].Ingress = []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Internet: &v1alpha1.InternetPeer{}}}}}
	recorder.warnings = nil
	g.Expect(c.Create(ctx, app.DeepCopy(), client.DryRunAll)).To(Succeed())
	g.Expect(recorder.warnings).To(ConsistOf(ContainSubstring("spec.tiers[0].ports[0].port: 80 is the port of Service beside/web; its pods listen on 8080")))

	app.Spec.Tiers = append(app.Spec.Tiers, v1alpha1.Tier{Name: "admin", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"role": "admin"}}})
	g.Expect(c.Create(ctx, app, client.DryRunAll)).To(MatchError(ContainSubstring("spec.tiers[1].podSelector: pod beside/web-0 is in tier api and in tier admin")))
}

func testUnresolved(t *testing.T, config *rest.Config) {
	g := NewWithT(t)
	recorder, c := recordingClient(t, config)
	app := valid()
	app.Name, app.Spec.Tiers[0].PodSelector.MatchLabels["tier"] = "early", "early"
	app.Spec.Tiers[0].Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Service: &v1alpha1.ServiceReference{Name: "redis"}}}}}
	g.Expect(c.Create(t.Context(), app, client.DryRunAll)).To(Succeed(), "what it refers to may be applied after it")
	g.Expect(recorder.warnings).To(ConsistOf(And(ContainSubstring("spec.tiers[0].egress[0].to[0].service: "), ContainSubstring("default/redis"))))

	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "redis"},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "redis"}, Ports: []corev1.ServicePort{{Port: 6379}}}}
	g.Expect(c.Create(t.Context(), service)).To(Succeed())
	g.Eventually(func() []string {
		recorder.warnings = nil
		g.Expect(c.Create(t.Context(), app.DeepCopy(), client.DryRunAll)).To(Succeed())
		return recorder.warnings
	}, 10*time.Second, 50*time.Millisecond).Should(BeEmpty())
}
