package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

// drain is how long requests may go on when the server ends.
const drain = 5 * time.Second

// Server serves the API.
type Server struct {
	Address     string
	Handler     http.Handler
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Ready is closed once there is a certificate.
	Ready <-chan struct{}
	// ErrorLog is told of each connection that fails, and anybody may make some.
	ErrorLog *log.Logger
}

// NeedLeaderElection is false: every replica answers.
func (s *Server) NeedLeaderElection() bool { return false }

// Start serves until the context ends.
func (s *Server) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.Ready:
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("serving connections: %w", err)
	}
	server := &http.Server{
		Handler: s.Handler, ErrorLog: s.ErrorLog,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate,
			// Whose it is says the authenticator, which answers a client without one with Unauthorized.
			ClientAuth: tls.RequestClientCert,
		},
	}
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		_ = server.Shutdown(ending)
	})
	defer stop()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving connections: %w", err)
	}
	return nil
}
