package webhooks_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/apptier/apptier/internal/testenv/manifests"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/webhooks"
)

// managerAccount is the manager's account, as config/default has it.
const managerAccount = "system:serviceaccount:" + manifests.Namespace + ":apptier-manager"

// deployed returns what config/default has of a kind.
func deployed(t *testing.T, kind string) []*unstructured.Unstructured {
	t.Helper()
	return deployedFrom(t, kind, "config", "default")
}

// deployedFrom returns what a kustomization of the repository has of a kind.
func deployedFrom(t *testing.T, kind string, path ...string) []*unstructured.Unstructured {
	t.Helper()
	text, err := manifests.Kustomize(t.Context(), path...)
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			t.Fatal(err)
		case object.GetKind() == kind:
			out = append(out, object)
		}
	}
}

// asDeployed installs the webhooks with the conditions that config/default gives them.
func asDeployed(t *testing.T) apiserver.Option {
	return func(e *envtest.Environment, _ string) {
		for _, object := range deployed(t, "ValidatingWebhookConfiguration") {
			var configuration admissionv1.ValidatingWebhookConfiguration
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &configuration); err != nil {
				t.Fatal(err)
			}
			e.WebhookInstallOptions.ValidatingWebhooks = append(e.WebhookInstallOptions.ValidatingWebhooks, &configuration)
		}
	}
}

func schemeOf(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

// startWebhooks starts a real API server that asks the webhooks over TLS.
func startWebhooks(t *testing.T, more ...apiserver.Option) *rest.Config {
	return startWebhooksWith(t, register, more...)
}

// startWebhooksWith starts what it is told to register.
func startWebhooksWith(t *testing.T, register func(context.Context, ctrl.Manager) error, more ...apiserver.Option) *rest.Config {
	g := NewWithT(t)
	config, api := apiserver.Start(t, append(more, asDeployed(t))...)
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	installed := api.WebhookInstallOptions
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  schemeOf(t),
		Metrics: metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhooks.NewServer(webhook.Options{
			Host: installed.LocalServingHost, Port: installed.LocalServingPort, CertDir: installed.LocalServingCertDir,
		}),
	})
	g.Expect(err).NotTo(HaveOccurred())
	registered := make(chan error, 1)
	g.Expect(mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		registered <- register(ctx, mgr)
		return nil
	}))).To(Succeed())
	go func() { _ = mgr.Start(t.Context()) }()
	g.Eventually(registered, 20*time.Second).Should(Receive(BeNil()))
	address := net.JoinHostPort(installed.LocalServingHost, strconv.Itoa(installed.LocalServingPort))
	g.Eventually(func() error {
		connection, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			err = connection.Close()
		}
		return err
	}, 10*time.Second, 20*time.Millisecond).Should(Succeed())
	return config
}

func register(ctx context.Context, mgr ctrl.Manager) error {
	cluster, err := webhooks.ClusterOf(ctx, mgr.GetCache())
	if err != nil {
		return err
	}
	settings := environment.Settings{DNSService: types.NamespacedName{Namespace: "kube-system", Name: "kube-dns"}}
	judging, limits := webhooks.NewJudging(4), budget.Defaults()
	return errors.Join(
		webhooks.AppTierValidator{Cluster: cluster, Judging: judging, Limits: limits, Reader: mgr.GetClient(), Settings: settings}.SetupWithManager(mgr),
		webhooks.NetworkPolicyValidator{Cluster: cluster, Judging: judging, Limits: limits, Namespace: manifests.Namespace}.SetupWithManager(mgr),
		webhooks.StagedValidator{Cluster: cluster, Judging: judging, Limits: limits}.SetupWithManager(mgr))
}

func newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{Scheme: schemeOf(t)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// strictClient returns a client that has unknown fields refused, as kubectl does.
func strictClient(t *testing.T, config *rest.Config) client.Client {
	return client.WithFieldValidation(newClient(t, config), metav1.FieldValidationStrict)
}

// as returns a client that may do everything, by the name of an account.
func as(t *testing.T, config *rest.Config, account string) client.Client {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: account, Groups: []string{"system:masters"}}
	return newClient(t, config)
}

// recorder keeps the warnings that kubectl would print.
type recorder struct{ warnings []string }

func (r *recorder) HandleWarningHeader(_ int, _, text string) { r.warnings = append(r.warnings, text) }

func recordingClient(t *testing.T, config *rest.Config) (*recorder, client.Client) {
	r := &recorder{}
	config = rest.CopyConfig(config)
	config.WarningHandler = r
	return r, newClient(t, config)
}
