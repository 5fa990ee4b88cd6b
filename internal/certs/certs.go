// Package certs gives the servers of the manager their certificates. The replicas of the manager make one, keep it
// in a Secret, announce its authority to those who call, and rotate it so that they always trust what any replica
// serves: docs/design/2026-11-21-webhook-certificate.md.
package certs

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Options name the objects that the certificate is for.
type Options struct {
	// Name is the keeper's among those of a manager.
	Name string
	// Secret holds the authorities and the certificate. It must exist; it may be empty.
	Secret types.NamespacedName
	// Service is what the API server calls, in the Secret's namespace.
	Service string
	// Announced is where whoever calls finds the authorities to trust.
	Announced []Place
	// Adopt takes over authorities that are announced there alone, when the Secret has lost them. It is for places that only those
	// may write who could put any authority there: else one of them would be trusted in all.
	Adopt bool
	// Settle is how long those who call may take to see an authority there; 20 seconds, which is for API servers, if it is 0.
	Settle time.Duration
	// AsClient is for a certificate that the manager also shows to servers.
	AsClient bool
	// Optional is for a certificate that the manager does without if it may not read the objects.
	Optional bool
}

// Host is the name in the certificate that callers know the server by.
func (o Options) Host() string { return o.dnsNames()[0] }

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
