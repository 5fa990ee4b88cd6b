package webhooks

import (
	"net/http"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// Server is a webhook server whose clients can be sent elsewhere before it ends.
type Server struct {
	webhook.Server
	draining atomic.Bool
}

// NewServer returns a server that webhooks may be registered at while it starts. A DefaultServer sets
// its defaults with the first registration or when it starts, whichever comes first, and what asks for
// its mux in between reads them without a lock: so they are set here.
func NewServer(options webhook.Options) *Server {
	server := &Server{Server: webhook.NewServer(options)}
	server.Register("/", http.NotFoundHandler())
	return server
}

// Register has the server serve a webhook at a path.
func (s *Server) Register(path string, hook http.Handler) {
	s.Server.Register(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		hook.ServeHTTP(w, r)
	}))
}

// Drain makes every answer from now on the last of its connection. Requests are still answered. A server
// that ends closes the connections that are idle just then, and a client that writes to one at that
// moment cannot tell whether its request was seen: Go's, which the API server is, tries a POST that it
// has begun to write no second time (net/http.Transport). So connections are to be gone before.
func (s *Server) Drain() { s.draining.Store(true) }
