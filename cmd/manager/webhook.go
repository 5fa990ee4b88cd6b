package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/apptier/apptier/internal/certs"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/webhooks"
)

// Names that config/webhook and config/default give to the objects of the webhook.
const (
	certSecret           = "apptier-webhook-cert" //nolint:gosec // the name of a Secret
	webhookService       = "apptier-webhook-service"
	webhookConfiguration = "apptier-validating-webhook-configuration"
)

// certificateFor returns what keeps the webhook's certificate, or nil if something else does.
func certificateFor(o options) *certs.Keeper {
	if !o.webhook || !o.rotateCerts {
		return nil
	}
	return certs.New(certs.Options{
		Name:      "webhook-certificate",
		Secret:    types.NamespacedName{Namespace: o.namespace, Name: certSecret},
		Service:   webhookService,
		Announced: []certs.Place{certs.WebhookConfiguration(webhookConfiguration)},
		Adopt:     true,
	}, time.Now)
}

// serverFor returns the webhook server, with the kept certificate, or with the files of the flags.
func serverFor(o options, certificate *certs.Keeper, clients func(*tls.Config)) *webhooks.Server {
	return webhooks.NewServer(webhook.Options{Port: o.webhookPort, CertDir: o.certDir, TLSOpts: []func(*tls.Config){modernTLS, clients, func(c *tls.Config) {
		if certificate != nil {
			c.GetCertificate = certificate.GetCertificate
		}
	}}})
}

// clientsOf has clients asked for a certificate of an authority in a file; without one, nobody is asked.
func clientsOf(file string) (func(*tls.Config), error) {
	if file == "" {
		return func(*tls.Config) {}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--webhook-client-ca: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--webhook-client-ca: %s holds no certificate in PEM", file)
	}
	return func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, authorities }, nil
}

// addWebhook serves the admission webhook, and makes the manager ready once it does.
func addWebhook(mgr ctrl.Manager, o options, settings environment.Settings, certificate *certs.Keeper, d *drain) error {
	if !o.webhook {
		return addReadiness(mgr, d.ready(healthz.Ping))
	}
	server := &webhookStarter{mgr: mgr, settings: settings, limits: o.limits, namespace: o.namespace, certificate: closed()}
	if certificate != nil {
		if err := certificate.SetupWithManager(mgr); err != nil {
			return err
		}
		server.certificate = certificate.Ready()
	}
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("setting up the webhook server: %w", err)
	}
	return addReadiness(mgr, d.ready(server.ready))
}

func addReadiness(mgr ctrl.Manager, check healthz.Checker) error {
	if err := mgr.AddReadyzCheck("readyz", check); err != nil {
		return fmt.Errorf("setting up the readiness probe: %w", err)
	}
	return nil
}

// webhookStarter registers the webhooks once there is a certificate, and everything to answer with: a
// replica that does not lead is as warm as the one that does.
type webhookStarter struct {
	mgr         ctrl.Manager
	settings    environment.Settings
	limits      budget.Limits
	namespace   string
	certificate <-chan struct{}
	registered  atomic.Bool
}

// leastAtOnce is how many requests are judged at once at least, so that one namespace never takes every turn.
const leastAtOnce = 4

// NeedLeaderElection is false: every replica serves the webhook.
func (s *webhookStarter) NeedLeaderElection() bool { return false }

// Start waits for the certificate and the cache, and registers the webhooks.
func (s *webhookStarter) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.certificate:
	}
	cluster, err := webhooks.ClusterOf(ctx, s.mgr.GetCache())
	if err != nil {
		return err
	}
	// What AppTiers may refer to beside that. Asked for by the first request, it would keep it waiting.
	for _, object := range []client.Object{&corev1.Node{}, &discoveryv1.EndpointSlice{}} {
		if _, err := s.mgr.GetCache().GetInformer(ctx, object); err != nil {
			return fmt.Errorf("reading %Ts into the cache: %w", object, err)
		}
	}
	judging := webhooks.NewJudging(max(leastAtOnce, runtime.GOMAXPROCS(0)))
	apps := webhooks.AppTierValidator{Cluster: cluster, Judging: judging, Limits: s.limits, Reader: s.mgr.GetClient(), Settings: s.settings}
	if err := apps.SetupWithManager(s.mgr); err != nil {
		return err
	}
	policies := webhooks.NetworkPolicyValidator{Cluster: cluster, Judging: judging, Limits: s.limits, Namespace: s.namespace}
	if err := policies.SetupWithManager(s.mgr); err != nil {
		return err
	}
	staged := webhooks.StagedValidator{Cluster: cluster, Judging: judging, Limits: s.limits}
	if err := staged.SetupWithManager(s.mgr); err != nil {
		return err
	}
	s.registered.Store(true)
	return nil
}

var errNotWarm = errors.New("the webhook has no certificate yet, or has not read the cluster yet")

func (s *webhookStarter) ready(request *http.Request) error {
	if !s.registered.Load() {
		return errNotWarm
	}
	return s.mgr.GetWebhookServer().StartedChecker()(request)
}

func closed() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}
