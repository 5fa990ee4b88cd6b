package webhooks

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// Server is a webhook server whose clients can be sent elsewhere before it ends. The context of a request
// ends well before the API server stops to wait for the answer.
type Server struct {
	webhook.Server
	draining atomic.Bool
	// bodies bounds what is read at once, in bytes.
	bodies *semaphore.Weighted
}

// NewServer returns a server that webhooks may be registered at while it starts. A DefaultServer sets
// its defaults with the first registration or when it starts, whichever comes first, and what asks for
// its mux in between reads them without a lock: so they are set here.
func NewServer(options webhook.Options) *Server {
	server := &Server{Server: webhook.NewServer(options), bodies: semaphore.NewWeighted(mostBodies)}
	server.Register("/", http.NotFoundHandler())
	return server
}

// Register has the server serve a webhook at a path. Where the webhook has failed, the answer is an error of
// the server, so that the API server does as failurePolicy says: a refusal would be the webhook's opinion.
// A panic ends the connection, which is the same to the API server.
func (s *Server) Register(path string, hook http.Handler) {
	s.Server.Register(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeFor(r))
		defer cancel()
		length := lengthOf(r)
		if s.bodies.Acquire(ctx, length) != nil {
			refuseUnread(w, r)
			return
		}
		defer s.bodies.Release(length)
		answer := &answerWriter{ResponseWriter: w}
		hook.ServeHTTP(answer, r.WithContext(context.WithValue(ctx, answerKey{}, answer)))
	}))
}

// usualTimeout is what config/webhook gives the API server.
const usualTimeout = 5 * time.Second

// timeFor is how long a request may take: three fifths of what the API server says that it waits
// (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#timeouts). The
// rest is for the way, and for reading what is asked.
func timeFor(r *http.Request) time.Duration {
	timeout, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || timeout <= 0 {
		timeout = usualTimeout
	}
	return min(timeout, 2*usualTimeout) * 3 / 5
}

// Drain makes every answer from now on the last of its connection. Requests are still answered. A server
// that ends closes the connections that are idle just then, and a client that writes to one at that
// moment cannot tell whether its request was seen: Go's, which the API server is, tries a POST that it
// has begun to write no second time (net/http.Transport). So connections are to be gone before.
func (s *Server) Drain() { s.draining.Store(true) }

// answerKey is where the context of a request has its answerWriter.
type answerKey struct{}

// answerWriter answers with an error of the server if the webhook has failed.
type answerWriter struct {
	http.ResponseWriter
	failed, told bool
}

// Write writes the answer.
func (w *answerWriter) Write(text []byte) (int, error) {
	if !w.failed {
		return w.ResponseWriter.Write(text)
	}
	if !w.told {
		w.told = true
		http.Error(w.ResponseWriter, "the webhook has failed: its log says why", http.StatusInternalServerError)
	}
	return len(text), nil
}

// failed has a request answered by an error of the server: the webhook has no opinion. What was being done is
// told in the log alone, since whoever reaches the port may read the answer.
func failed(ctx context.Context, err error) error {
	ctrl.LoggerFrom(ctx).Error(err, "the webhook has failed, the failure policy decides")
	if answer, ok := ctx.Value(answerKey{}).(*answerWriter); ok {
		answer.failed = true
	}
	return err
}
