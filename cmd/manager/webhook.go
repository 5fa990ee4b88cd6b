package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/apptier/apptier/internal/certs"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/webhooks"
)

// Names that config/webhook and config/default give to the objects of the webhook.
const (
	certSecret           = "apptier-webhook-cert" //nolint:gosec // the name of a Secret
	webhookService       = "apptier-webhook-service"
	webhookConfiguration = "apptier-validating-webhook-configuration"
)

// addWebhook serves the admission webhook, and makes the manager ready once it does.
func addWebhook(mgr ctrl.Manager, o options, settings environment.Settings) error {
	if !o.webhook {
		return addReadiness(mgr, healthz.Ping)
	}
	server := &webhookStarter{mgr: mgr, settings: settings, namespace: o.namespace, certificate: closed()}
	if o.rotateCerts {
		certificate, err := certs.Setup(mgr, certs.Options{
			Secret:               types.NamespacedName{Namespace: o.namespace, Name: certSecret},
			Service:              webhookService,
			WebhookConfiguration: webhookConfiguration,
			Dir:                  o.certDir,
		})
		if err != nil {
			return err
		}
		server.certificate = certificate
	}
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("setting up the webhook server: %w", err)
	}
	return addReadiness(mgr, server.ready)
}

func addReadiness(mgr ctrl.Manager, check healthz.Checker) error {
	if err := mgr.AddReadyzCheck("readyz", check); err != nil {
		return fmt.Errorf("setting up the readiness probe: %w", err)
	}
	return nil
}

// webhookStarter registers the webhooks once there is a certificate: the webhook server will not
// start without one.
type webhookStarter struct {
	mgr         ctrl.Manager
	settings    environment.Settings
	namespace   string
	certificate <-chan struct{}
	registered  atomic.Bool
}

// NeedLeaderElection is false: every replica serves the webhook.
func (s *webhookStarter) NeedLeaderElection() bool { return false }

// Start waits for the certificate and registers the webhooks.
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
	if err := (webhooks.AppTierValidator{Cluster: cluster, Reader: s.mgr.GetClient(), Settings: s.settings}).SetupWithManager(s.mgr); err != nil {
		return err
	}
	if err := (webhooks.NetworkPolicyValidator{Cluster: cluster, Namespace: s.namespace}).SetupWithManager(s.mgr); err != nil {
		return err
	}
	s.registered.Store(true)
	return nil
}

var errNoCertificate = errors.New("the webhook has no certificate yet")

func (s *webhookStarter) ready(request *http.Request) error {
	if !s.registered.Load() {
		return errNoCertificate
	}
	return s.mgr.GetWebhookServer().StartedChecker()(request)
}

func closed() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}
