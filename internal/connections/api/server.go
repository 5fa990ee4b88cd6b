package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

// drain is how long requests may go on when the server ends.
const drain = 5 * time.Second

// hello is how long a client may take to say who it is.
const hello = 3 * time.Second

// Server serves the API.
type Server struct {
	Address     string
	Handler     http.Handler
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Knows says whether a client's certificates are those of the API server's proxy. Nobody else is let in.
	Knows func(certificates []*x509.Certificate) bool
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
	bounded := &places{Listener: listener}
	server := &http.Server{
		Handler: s.Handler, ErrorLog: s.ErrorLog,
		// The time for the header is also that for the handshake. An answer has a time of its own, see handler.send.
		ReadHeaderTimeout: hello, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		TLSConfig: s.config(bounded),
	}
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		_ = server.Shutdown(ending)
	})
	defer stop()
	if err := server.ServeTLS(bounded, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving connections: %w", err)
	}
	return nil
}

var (
	errStranger = errors.New("only the API server's proxy may connect")
	errNoPlace  = errors.New("too many connections of the API server's proxy are open")
)

// config lets in whoever has the certificate of the API server's proxy, if there is a place.
func (s *Server) config(of *places) *tls.Config {
	base := &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate,
		ClientAuth: tls.RequireAnyClientCert,
		NextProtos: []string{"h2", "http/1.1"},
		// Who takes up a session again would not show the certificate again, which may not be trusted any more.
		SessionTicketsDisabled: true,
	}
	base.GetConfigForClient = func(client *tls.ClientHelloInfo) (*tls.Config, error) {
		one := base.Clone()
		one.VerifyConnection = func(state tls.ConnectionState) error {
			switch {
			case !s.Knows(state.PeerCertificates):
				return errStranger
			case !of.know(client.Conn):
				return errNoPlace
			default:
				return nil
			}
		}
		return one, nil
	}
	return base
}
