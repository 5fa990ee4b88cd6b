// Package api serves the API group connections.apptier.dev to the API server, which passes on the requests of its
// clients (the aggregation layer). It is read only, and holds nothing: a Lister has the connections.
//
// Who asks is what the API server says, and only a client with the certificate of the API server's proxy can say it.
// Whoever may list AppTiers in a namespace sees the connections that have an end there.
package api

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/go-logr/logr"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// Lister knows connections. Those of a namespace have an end in it; without a namespace it means all.
type Lister interface {
	List(ctx context.Context, namespace string, since time.Time) connections.ConnectionList
}

// MayList says whether somebody may list AppTiers in a namespace; without a namespace, in all of them.
type MayList func(ctx context.Context, who user.Info, namespace string) (bool, error)

// Options is what the API stands on.
type Options struct {
	Lister        Lister
	Authenticator authenticator.Request
	MayList       MayList
	// OpenAPI serves /openapi/v3; nil to describe nothing.
	OpenAPI http.Handler
	Log     logr.Logger
}

const (
	// atOnce is how many lists are made at once. An answer may be some megabytes long.
	atOnce = 16
	// patience is how long a request may take, with the wait for others.
	patience = 5 * time.Second
)

// handler answers requests for the API.
type handler struct {
	Options
	turns *semaphore.Weighted
}

const (
	prefix   = "/apis/connections.apptier.dev/v1alpha1"
	resource = "connections"
)

// New returns a handler of everything below /apis, and of what describes that.
func New(o Options) http.Handler {
	h := &handler{Options: o, turns: semaphore.NewWeighted(atOnce)}
	mux := http.NewServeMux()
	mux.Handle("GET /apis", h.known(groups))
	mux.Handle("GET /apis/connections.apptier.dev", h.known(group))
	mux.Handle("GET "+prefix, h.known(resources))
	mux.Handle("GET "+prefix+"/connections", h.authenticated(h.list))
	mux.Handle("GET "+prefix+"/namespaces/{namespace}/connections", h.authenticated(h.list))
	mux.Handle("GET "+prefix+"/namespaces/{namespace}/connections/{name}", h.authenticated(h.get))
	if o.OpenAPI != nil {
		mux.Handle("GET /openapi/v3", h.described())
		mux.Handle("GET /openapi/v3/", h.described())
	}
	mux.Handle("/", h.authenticated(h.other))
	return mux
}
