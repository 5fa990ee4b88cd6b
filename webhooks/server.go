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

// Server is a webhook server that can send its clients elsewhere before it stops. The context of a request ends
// well before the API server stops waiting for the answer.
type Server struct {
	webhook.Server
	draining atomic.Bool
	// bodies limits what is read at once, in bytes.
	bodies *semaphore.Weighted
}

// NewServer returns a server that accepts registrations of webhooks while it starts. A DefaultServer sets its
// defaults at the first registration or at start, and another goroutine may read them without a lock: so they
// are set here.
func NewServer(options webhook.Options) *Server {
	server := &Server{Server: webhook.NewServer(options), bodies: semaphore.NewWeighted(mostBodies)}
	server.Register("/", http.NotFoundHandler())
	return server
}

// Register serves a webhook at a path. If the webhook fails, the answer is a server error, so that the API server
// applies failurePolicy: a refusal would be a verdict of the webhook. A panic ends the connection, with the same
// effect.
func (s *Server) Register(path string, hook http.Handler) {
	s.Server.Register(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		limit := timeFor(r)
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		// Reading a body does not end with the context: without a deadline, who sends slowly keeps the room for others' bodies.
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)); err != nil {
			http.Error(w, "the connection has no deadlines", http.StatusInternalServerError)
			return
		}
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

// timeFor is how long a request may take: three fifths of the API server's timeout
// (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#timeouts). The
// rest is for the network, and for reading the request.
func timeFor(r *http.Request) time.Duration {
	timeout, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || timeout <= 0 {
		timeout = usualTimeout
	}
	return min(timeout, 2*usualTimeout) * 3 / 5
}

// Drain makes every answer from now on the last of its connection. Requests are still answered. A server that
// stops closes idle connections, and a client that writes to one at that moment cannot tell whether its request
// arrived: Go's client, which the API server uses, does not retry a POST that it has begun to write
// (net/http.Transport). So connections must end before the server stops.
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

// failed makes the server answer a request with an error: the webhook has no verdict. The details are only in the log,
// because any client that reaches the port may read the answer.
func failed(ctx context.Context, err error) error {
	ctrl.LoggerFrom(ctx).Error(err, "the webhook has failed, the failure policy decides")
	if answer, ok := ctx.Value(answerKey{}).(*answerWriter); ok {
		answer.failed = true
	}
	return err
}
