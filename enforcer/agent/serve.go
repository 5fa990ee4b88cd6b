package agent

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"
)

// Secure protects what is served beyond the node.
type Secure struct {
	TLS *tls.Config
	// Filter passes on only requests of clients that may see what a handler serves.
	Filter func(http.Handler) (http.Handler, error)
}

// probes answers the kubelet: alive unless the loop hangs, ready while nothing says otherwise.
func probes(l *loop, ready http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if l.stuck() {
			http.Error(w, "the sync loop hangs", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /readyz", ready)
	return mux
}

// watch calls hung if the loop hangs. The kubelet need not probe: it restarts a process that ends, and a process that
// holds the probe's port could make the kubelet kill an agent that works.
func (l *loop) watch(ctx context.Context, hung func()) {
	ticks := time.NewTicker(transactionTimeout / 4)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			if l.stuck() {
				hung()
				return
			}
		}
	}
}
