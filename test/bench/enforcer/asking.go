package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/cert"
)

// The manager's name, and where its authority is; who asks here is both.
const (
	managerName     = "apptier-connections-service.apptier-system.svc"
	authorityFile   = "connections-ca.crt"
	connectionsPort = 9810
)

// asking is somebody who asks an agent each second which connections it saw, as denied -w does: only then are they read
// that often.
type asking struct {
	agent  *agent
	client *http.Client
	failed chan error
}

// newManager makes the certificate by which agents know who asks.
func newManager() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: managerName}, crypto.Signer(key))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making the manager's certificate: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: certificate.Raw})
	if err := os.WriteFile(authorities(), text, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}, nil
}

func authorities() string { return filepath.Join(os.TempDir(), authorityFile) }

// answers are the flags that have an agent answer the manager.
func (a *agent) answers() []string {
	return []string{fmt.Sprintf("--connections-bind-address=%s:%d", a.lab.control, connectionsPort), "--connections-authorities=" + authorities()}
}

// ask begins to ask, until the bench ends. The first answer is awaited.
func ask(ctx context.Context, a *agent, manager tls.Certificate) (*asking, error) {
	w := &asking{agent: a, failed: make(chan error, 1), client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		// The agent's certificate is its own, and new with each process.
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{manager}, InsecureSkipVerify: true},
	}}}
	if err := w.once(ctx); err != nil {
		return nil, err
	}
	go func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := w.once(ctx); err != nil && ctx.Err() == nil {
				w.failed <- err
				return
			}
		}
	}()
	return w, nil
}

// check fails if an answer did not come.
func (w *asking) check() error {
	select {
	case err := <-w.failed:
		return err
	default:
		return nil
	}
}

func (w *asking) once(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		fmt.Sprintf("https://%s:%d/connections?since=%s", w.agent.lab.control, connectionsPort, time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)), nil)
	if err != nil {
		return err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the agent for connections: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("asking the agent for connections: %s: %s", response.Status, text)
	}
	return err
}
