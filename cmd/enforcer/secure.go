package main

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"

	"github.com/apptier/apptier/enforcer/agent"
)

// secure serves metrics as the manager does: over HTTPS, with a certificate of the process's own, to clients that the
// API server allows to get /metrics.
func secure(config *rest.Config, log logr.Logger) (*agent.Secure, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("protecting the metrics: %w", err)
	}
	filter, err := filters.WithAuthenticationAndAuthorization(config, client)
	if err != nil {
		return nil, fmt.Errorf("protecting the metrics: %w", err)
	}
	certificate, key, err := cert.GenerateSelfSignedCertKey("localhost", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("making a certificate for the metrics: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate for the metrics: %w", err)
	}
	return &agent.Secure{
		TLS:    &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}},
		Filter: func(handler http.Handler) (http.Handler, error) { return filter(log, handler) },
	}, nil
}
