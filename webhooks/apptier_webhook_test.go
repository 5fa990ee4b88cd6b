package webhooks_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/test/apiserver"
	"github.com/apptier/apptier/webhooks"
)

// startWebhook starts a real API server that asks the webhook over TLS, and returns a client that
// has unknown fields refused, as kubectl does.
func startWebhook(t *testing.T) (client.Client, *rest.Config) {
	g := NewWithT(t)
	config, environment := apiserver.Start(t, apiserver.WithWebhooks())
	scheme := runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	installed := environment.WebhookInstallOptions
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: installed.LocalServingHost, Port: installed.LocalServingPort, CertDir: installed.LocalServingCertDir,
		}),
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(webhooks.AppTierValidator{Reader: mgr.GetClient()}.SetupWithManager(mgr)).To(Succeed())
	go func() { _ = mgr.Start(t.Context()) }()
	address := net.JoinHostPort(installed.LocalServingHost, strconv.Itoa(installed.LocalServingPort))
	g.Eventually(func() error {
		connection, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			err = connection.Close()
		}
		return err
	}, 10*time.Second, 20*time.Millisecond).Should(Succeed())
	c, err := client.New(config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	return client.WithFieldValidation(c, metav1.FieldValidationStrict), config
}

func TestWebhook(t *testing.T) {
	c, config := startWebhook(t)
	t.Run("refuses the corpus of mistakes", func(t *testing.T) { testCorpus(t, c) })
	t.Run("says everything at once, with path, reason and fix", func(t *testing.T) { testAllAtOnce(t, c) })
	t.Run("judges updates of the spec, and nothing else", func(t *testing.T) { testUpdates(t, c) })
	t.Run("refuses what would open another AppTier of the namespace", func(t *testing.T) { testConflict(t, c) })
	t.Run("passes warnings on", func(t *testing.T) { testWarnings(t, config) })
}

// testCorpus: what policy/lint refuses, the API server refuses, by its schema or by the webhook.
func testCorpus(t *testing.T, c client.Client) {
	files, err := filepath.Glob("../policy/lint/testdata/*.yaml")
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
	err := c.Create(t.Context(), read(g, "../policy/lint/testdata/several-mistakes.yaml"))
	g.Expect(err).To(MatchError(And(
		ContainSubstring("denied the request: AppTier shop is refused:"),
		ContainSubstring("spec.mode: mode Audit is not supported yet (not-supported)\n    fix: use mode: Enforce"),
		ContainSubstring("from[0].tier: "), ContainSubstring("to[0].tier: "), ContainSubstring("to[1].networks.cidrs[0]: "))))
	status, ok := err.(errors.APIStatus)
	g.Expect(ok).To(BeTrue())
	g.Expect(len(status.Status().Details.Causes)).To(BeNumerically(">=", 4), "programs get each as a cause")
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

// recorder keeps the warnings that kubectl would print.
type recorder struct{ warnings []string }

func (r *recorder) HandleWarningHeader(_ int, _, text string) { r.warnings = append(r.warnings, text) }

func testWarnings(t *testing.T, config *rest.Config) {
	g := NewWithT(t)
	recorder := &recorder{}
	config = rest.CopyConfig(config)
	config.WarningHandler = recorder
	scheme := runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	c, err := client.New(config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())

	app := valid()
	app.Name = "warned"
	app.Spec.Tiers[0].Isolate = []v1alpha1.Direction{v1alpha1.Ingress}
	app.Spec.Tiers[0].Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Internet: &v1alpha1.InternetPeer{}}}, AllPorts: true}}
	g.Expect(c.Create(t.Context(), app, client.DryRunAll)).To(Succeed(), "dry run works")
	g.Expect(recorder.warnings).To(ConsistOf(ContainSubstring("spec.tiers[0].egress: tier api does not isolate egress")))
}
