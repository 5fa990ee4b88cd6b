// Package certs gives the admission webhook its certificate: made, kept in a Secret, rotated and
// announced to the API server by cert-controller, without anything else to install.
package certs

import (
	"fmt"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Lifetimes of certificates. A server certificate is renewed when less than lookahead of its
// lifetime is left, the authority's long before any that it signed runs out.
const (
	authorityLifetime = 5 * 365 * 24 * time.Hour
	serverLifetime    = 90 * 24 * time.Hour
	lookahead         = 30 * 24 * time.Hour
	checkEvery        = time.Hour
)

// Options name what the certificate is for.
type Options struct {
	// Secret holds the authority and the certificate. It must exist; it may be empty.
	Secret types.NamespacedName
	// Service is what the API server calls, in the Secret's namespace.
	Service string
	// WebhookConfiguration is the ValidatingWebhookConfiguration that must trust the authority.
	WebhookConfiguration string
	// Dir is where the certificate is put for the webhook server.
	Dir string
}

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,verbs=get;list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=apptier-validating-webhook-configuration,verbs=update;patch

// Setup has the manager make and rotate the certificate. The channel is closed once the webhook
// server may start: the certificate is in its folder and the API server trusts it.
func Setup(mgr ctrl.Manager, options Options) (<-chan struct{}, error) {
	if err := mgr.Add(&mirror{secret: options.Secret, dir: options.Dir, reader: mgr.GetAPIReader()}); err != nil {
		return nil, fmt.Errorf("setting up the certificate mirror: %w", err)
	}
	ready := make(chan struct{})
	dnsName := fmt.Sprintf("%s.%s.svc", options.Service, options.Secret.Namespace)
	err := rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey:              options.Secret,
		CertDir:                options.Dir,
		CAName:                 "apptier-ca",
		CAOrganization:         "apptier",
		DNSName:                dnsName,
		ExtraDNSNames:          []string{dnsName + ".cluster.local"},
		IsReady:                ready,
		Webhooks:               []rotator.WebhookInfo{{Name: options.WebhookConfiguration, Type: rotator.Validating}},
		FieldOwner:             "apptier-certs",
		CaCertDuration:         authorityLifetime,
		ServerCertDuration:     serverLifetime,
		LookaheadInterval:      lookahead,
		RotationCheckFrequency: checkEvery,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up certificate rotation: %w", err)
	}
	return ready, nil
}
