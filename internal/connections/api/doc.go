// Package api serves the API group connections.apptier.dev to the API server, which passes on the requests of its
// clients (the aggregation layer). It is read only, and holds nothing: a Lister has the connections.
//
// Who asks is what the API server says, and only a client with the certificate of the API server's proxy can say it.
// Whoever may list AppTiers in a namespace sees the connections that have an end there.
package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

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
	// LeastTime is how long a client has for the shortest answer; 5 seconds if it is 0.
	LeastTime time.Duration
}

// patience is how long a request may take until its answer is sent, with the wait for others.
const patience = 5 * time.Second

// handler answers requests for the API.
type handler struct {
	Options
	turns *turns
}

const (
	prefix   = "/apis/connections.apptier.dev/v1alpha1"
	resource = "connections"
)

// New returns a handler of everything below /apis, and of what describes that.
func New(o Options) http.Handler {
	o.LeastTime = cmp.Or(o.LeastTime, leastTime)
	h := &handler{Options: o, turns: newTurns()}
	mux := http.NewServeMux()
	mux.Handle("GET /apis", h.known(groups))
	mux.Handle("GET /apis/connections.apptier.dev", h.known(group))
	mux.Handle("GET "+prefix, h.known(resources))
	mux.Handle("GET "+prefix+"/connections", h.seen(listed))
	mux.Handle("GET "+prefix+"/namespaces/{namespace}/connections", h.seen(listed))
	mux.Handle("GET "+prefix+"/namespaces/{namespace}/connections/{name}", h.seen(one))
	if o.OpenAPI != nil {
		mux.Handle("GET /openapi/v3", h.described())
		mux.Handle("GET /openapi/v3/", h.described())
	}
	mux.Handle("/", h.answered(h.other))
	return mux
}
