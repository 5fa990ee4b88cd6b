package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"

	"github.com/apptier/apptier/enforcer/health"
)

// listenEvery is how often an address that is taken is tried again.
const listenEvery = 5 * time.Second

// Secure protects what is served beyond the node.
type Secure struct {
	TLS *tls.Config
	// Filter passes on only requests of clients that may see what a handler serves.
	Filter func(http.Handler) (http.Handler, error)
}

// server answers at an address.
type server struct {
	// flag is what chooses the address.
	flag, address string
	handler       http.Handler
	// taken is the reason that the address cannot be listened on.
	taken health.Reason
	// tls is nil for plain HTTP.
	tls *tls.Config
}

// run serves until the context ends. No error here stops the enforcer, because it enforces without this server:
// otherwise any process that takes the port first could turn off the filter.
func (s server) run(ctx context.Context, report *health.Report, log logr.Logger) {
	if s.address == "" || s.address == "0" {
		return
	}
	for ctx.Err() == nil {
		err := s.serve(ctx, func() { report.Clear(s.taken) })
		if ctx.Err() != nil {
			return
		}
		report.Warn(s.taken, fmt.Sprintf("cannot listen on %s, trying again: %v; choose another address with --%s, or 0 for none", s.address, err, s.flag))
		log.V(1).Info("Cannot listen", "address", s.address, "reason", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(listenEvery):
		}
	}
}

func (s server) serve(ctx context.Context, listening func()) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	listening()
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
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
