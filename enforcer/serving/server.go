// Package serving is what the enforcer answers at: its servers never keep it from filtering. Beyond the node it answers
// about connections, to the manager alone.
package serving

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"

	"github.com/apptier/apptier/enforcer/health"
)

// listenEvery is how often an address that is taken is tried again.
const listenEvery = 5 * time.Second

// Server answers at an address.
type Server struct {
	// Flag is what chooses the address.
	Flag string
	// Address is host:port; empty or "0" for no server.
	Address string
	Handler http.Handler
	// Taken is the reason that the address cannot be listened on.
	Taken health.Reason
	// TLS is nil for plain HTTP.
	TLS *tls.Config
	// Most is how many connections are open at once; 0 for no bound.
	Most int
	// Hello is how long a client may take until its request's header is there, the handshake included; 5 seconds if it is 0.
	Hello time.Duration
}

// Run serves until the context ends. No error here stops the enforcer, because it enforces without this server:
// otherwise any process that takes the port first could turn off the filter.
func (s Server) Run(ctx context.Context, report *health.Report, log logr.Logger) {
	if s.Address == "" || s.Address == "0" {
		return
	}
	for ctx.Err() == nil {
		err := s.serve(ctx, func() { report.Clear(s.Taken) }, log)
		if ctx.Err() != nil {
			return
		}
		report.Warn(s.Taken, fmt.Sprintf("cannot listen on %s, trying again: %v; choose another address with --%s, or 0 for none",
			s.Address, err, s.Flag))
		log.V(1).Info("Cannot listen", "address", s.Address, "reason", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(listenEvery):
		}
	}
}

func (s Server) serve(ctx context.Context, listening func(), logger logr.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address)
	if err != nil {
		return err
	}
	listening()
	if s.Most > 0 {
		listener = netutil.LimitListener(listener, s.Most)
	}
	if s.TLS != nil {
		listener = tls.NewListener(listener, s.TLS)
	}
	server := &http.Server{
		Handler: s.Handler, ReadHeaderTimeout: cmp.Or(s.Hello, 5*time.Second), ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		// Whoever reaches the port can have something said about each of his connections.
		ErrorLog: log.New(quiet{logger}, "", 0),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// quiet logs at a verbosity that is off by default.
type quiet struct{ log logr.Logger }

func (q quiet) Write(text []byte) (int, error) {
	q.log.V(1).Info("A server's connection failed", "reason", string(text))
	return len(text), nil
}
