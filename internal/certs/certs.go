// Package certs gives the admission webhook its certificate. The replicas of the manager make it, keep it
// in a Secret, write its authority into the webhook configuration, and rotate it so that the API server
// always trusts what any replica serves: docs/design/2026-11-21-webhook-certificate.md.
package certs

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Options name the objects that the certificate is for.
type Options struct {
	// Secret holds the authorities and the certificate. It must exist; it may be empty.
	Secret types.NamespacedName
	// Service is what the API server calls, in the Secret's namespace.
	Service string
	// WebhookConfiguration is the ValidatingWebhookConfiguration that must trust the authorities.
	WebhookConfiguration string
}

// dnsNames are the names by which the API server, or a client in the cluster, calls the Service.
func (o Options) dnsNames() []string {
	name := fmt.Sprintf("%s.%s.svc", o.Service, o.Secret.Namespace)
	return []string{name, name + ".cluster.local"}
}

const (
	authorityLifetime = 5 * 365 * 24 * time.Hour
	serverLifetime    = 90 * 24 * time.Hour
	// A server certificate is renewed when less than this is left of it.
	serverLookahead = 30 * 24 * time.Hour
	// An authority is followed by the next one before it could sign less than a whole server certificate.
	authorityLookahead = serverLifetime + serverLookahead
	// settle is for how long every API server must have been able to see an authority in the webhook
	// configuration before a certificate of it is served. Each follows the configuration by a watch at
	// itself, and one that is cut off from etcd admits nothing: so this takes milliseconds.
	settle = 20 * time.Second
	// overlap is for how long an authority stays trusted after the Secret has a certificate of the next:
	// a replica that cannot reach the API server goes on with what it has.
	overlap = 24 * time.Hour
	// checkEvery is how often everything is checked if nothing happens.
	checkEvery = time.Hour
	// backdate is for clocks that are behind.
	backdate = time.Hour
)
