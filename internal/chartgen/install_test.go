package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/apiserver"
)

// installation is a release of the chart on an API server. No pod runs there.
type installation struct {
	*testing.T
	*WithT
	client.Client
	kubeconfig string
}

func newInstallation(t *testing.T) installation {
	t.Helper()
	config, environment := apiserver.Start(t, func(e *envtest.Environment, _ string) { e.CRDDirectoryPaths = nil })
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, environment.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return installation{t, NewWithT(t), c, kubeconfig}
}

func (i installation) helm(args ...string) {
	i.Helper()
	if stdout, stderr, err := helm(i.T, append(args, "--kubeconfig", i.kubeconfig, "--namespace", managerNamespace)...); err != nil {
		i.Fatalf("helm %v: %v\n%s%s", args, err, stdout, stderr)
	}
}

// get reads an object that must be there.
func (i installation) get(object client.Object, namespace, name string) {
	i.Helper()
	i.Expect(i.Get(i.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)).To(Succeed())
}

func (i installation) gone(object client.Object, namespace, name string) {
	i.Helper()
	err := i.Get(i.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
	i.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%s: %v", name, err)
}

// The chart installs on a real API server; an upgrade changes what the values say, and the kind, and keeps what the manager
// has written; an uninstall leaves AppTiers, and a later installation finds them.
func TestInstallUpgradeUninstall(t *testing.T) {
	i := newInstallation(t)
	i.helm("install", "apptier", olderChart(t), "--create-namespace")
	i.Expect(i.categories()).To(BeEmpty(), "the older chart's kind")
	i.get(&policyv1.PodDisruptionBudget{}, managerNamespace, "apptier-manager")
	i.get(&appsv1.DaemonSet{}, enforcerNamespace, "apptier-enforcer")
	i.asTheManager()
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop"}, Spec: v1alpha1.AppTierSpec{
		Tiers: []v1alpha1.Tier{{Name: "web", PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "web"}}}},
	}}
	i.Expect(i.Create(t.Context(), app)).To(Succeed())

	i.helm("upgrade", "apptier", chart, "--set", "manager.replicas=1,webhook.strict=true,webhook.widenVerb=true,enforcer.metrics=true")
	i.Expect(i.categories()).To(ContainElement("apptier"), "the kind is upgraded")
	var manager appsv1.Deployment
	i.get(&manager, managerNamespace, "apptier-manager")
	i.Expect(manager.Spec.Replicas).To(HaveValue(BeEquivalentTo(1)))
	i.gone(&policyv1.PodDisruptionBudget{}, managerNamespace, "apptier-manager")
	var webhooks admissionv1.ValidatingWebhookConfiguration
	i.get(&webhooks, "", "apptier-validating-webhook-configuration")
	i.Expect(webhooks.Webhooks[0].FailurePolicy).To(HaveValue(Equal(admissionv1.Fail)))
	for _, webhook := range webhooks.Webhooks {
		i.Expect(webhook.ClientConfig.CABundle).NotTo(BeEmpty(), "what the manager has announced")
	}
	var secret corev1.Secret
	i.get(&secret, managerNamespace, "apptier-webhook-cert")
	i.Expect(secret.Data).To(HaveKey("tls.crt"), "what the manager has written")

	i.helm("upgrade", "apptier", chart, "--set", "enforcer.cleanup=true")
	i.gone(&appsv1.DaemonSet{}, enforcerNamespace, "apptier-enforcer")
	i.get(&appsv1.DaemonSet{}, enforcerNamespace, "apptier-cleanup")

	i.helm("uninstall", "apptier")
	i.gone(&appsv1.Deployment{}, managerNamespace, "apptier-manager")
	i.gone(&appsv1.DaemonSet{}, enforcerNamespace, "apptier-cleanup")
	i.gone(&admissionv1.ValidatingWebhookConfiguration{}, "", "apptier-validating-webhook-configuration")
	i.gone(&admissionv1.ValidatingAdmissionPolicy{}, "", "apptier-generated-policies")
	i.get(app, "default", "shop")

	// There is no controller here that would end the enforcer's namespace.
	i.helm("install", "apptier", chart, "--set", "enforcer.enabled=false")
	i.get(app, "default", "shop")
}

// asTheManager writes what the manager does: its certificate, and whom it is signed by.
func (i installation) asTheManager() {
	i.Helper()
	by := client.FieldOwner("manager")
	var secret corev1.Secret
	i.get(&secret, managerNamespace, "apptier-webhook-cert")
	secret.Data = map[string][]byte{"tls.crt": []byte("certificate")}
	i.Expect(i.Update(i.Context(), &secret, by)).To(Succeed())
	var webhooks admissionv1.ValidatingWebhookConfiguration
	i.get(&webhooks, "", "apptier-validating-webhook-configuration")
	before := webhooks.DeepCopy()
	for n := range webhooks.Webhooks {
		webhooks.Webhooks[n].ClientConfig.CABundle = authority
	}
	i.Expect(i.Patch(i.Context(), &webhooks, client.StrategicMergeFrom(before), by)).To(Succeed())
}

func (i installation) categories() []string {
	i.Helper()
	kind := &unstructured.Unstructured{}
	kind.SetAPIVersion("apiextensions.k8s.io/v1")
	kind.SetKind("CustomResourceDefinition")
	i.get(kind, "", "apptiers.policy.apptier.dev")
	categories, _, err := unstructured.NestedStringSlice(kind.Object, "spec", "names", "categories")
	i.Expect(err).NotTo(HaveOccurred())
	return categories
}

// olderChart is the chart with another kind.
func olderChart(t *testing.T) string {
	t.Helper()
	older := filepath.Join(t.TempDir(), "apptier")
	if err := os.CopyFS(older, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(older, "templates", "generated", "apptiers.policy.apptier.dev.customresourcedefinition.yaml")
	text := bytes.Replace(readFile(t, file), []byte("    categories:\n    - apptier\n"), nil, 1)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return older
}

// All that the chart can make and a cluster knows by itself, the API server takes.
func TestEverythingIsTaken(t *testing.T) {
	i := newInstallation(t)
	i.helm("install", "apptier", chart, "--create-namespace", "--set", "enforcer.nri=false,enforcer.metrics=true,webhook.strict=true",
		"--set", "webhook.widenVerb=true,imagePullSecrets[0].name=registry,manager.extraArgs[0]=--zap-log-level=debug")
}

// authority is an authority of certificates that nobody has the key of.
var authority = []byte(`-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUA14Pg75kDL4m6nE3PMjc1wTMPGMwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEzMDIwMzAzOVoYDzIxMjYxMTA2MjAz
MDM5WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQjevEpZfAvjRpfF1y8sSHSIKn/lzkzap0sxIVJd5lmBOrYOIx8X9k05ti7VdWy
1jUk7waIMT4hQgGi6Z4TVuzgo1MwUTAdBgNVHQ4EFgQUjhQPAJyxUXSwvUrnFj+t
SbTfSvYwHwYDVR0jBBgwFoAUjhQPAJyxUXSwvUrnFj+tSbTfSvYwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAd5SPQND/VqY+8VWnQ+s6ORDwqVwA+
nxfeBW3y+UkbqAIgPMp5q5fpZpuFkcIG9b20Gh6FJRZPPkMGAw16EkV5DWI=
-----END CERTIFICATE-----
`)
