// Package asker asks an enforcer which connections it saw, as the manager does for denied -w: each second. Only while somebody
// asks are they read from the kernel that often.
package asker

import (
	"context"
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

// managerName is the name by which enforcers know the manager, unless they are told another.
const managerName = "apptier-connections-service.apptier-system.svc"

// Manager is who may ask. Its certificate is its own authority.
type Manager struct {
	// Authorities is the file of the authority, for enforcers.
	Authorities string
	certificate tls.Certificate
}

// NewManager makes one, and writes its authority into a folder.
func NewManager(folder string) (*Manager, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: managerName}, key)
	if err != nil {
		return nil, fmt.Errorf("making the manager's certificate: %w", err)
	}
	m := &Manager{
		Authorities: filepath.Join(folder, "connections-ca.crt"),
		certificate: tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key},
	}
	text := pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: certificate.Raw})
	return m, os.WriteFile(m.Authorities, text, 0o600)
}

// Flags are those that have an enforcer answer the manager at an address, host:port.
func (m *Manager) Flags(address string) []string {
	return []string{"--connections-bind-address=" + address, "--connections-authorities=" + m.Authorities}
}

// Asking is somebody who asks.
type Asking struct {
	address string
	client  *http.Client
	failed  chan error
}

// Ask asks an enforcer each second until the context ends. The first answer is awaited.
func (m *Manager) Ask(ctx context.Context, address string) (*Asking, error) {
	a := &Asking{address: address, failed: make(chan error, 1), client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		// The enforcer's certificate is its own, and new with each process.
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{m.certificate}, InsecureSkipVerify: true},
	}}}
	if err := a.once(ctx); err != nil {
		return nil, err
	}
	go a.goOn(ctx)
	return a, nil
}

func (a *Asking) goOn(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := a.once(ctx); err != nil && ctx.Err() == nil {
			a.failed <- err
			return
		}
	}
}

// Check returns an error if an answer did not come.
func (a *Asking) Check() error {
	select {
	case err := <-a.failed:
		return err
	default:
		return nil
	}
}

func (a *Asking) once(ctx context.Context) error {
	since := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/connections?since=%s", a.address, since), nil)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the enforcer for connections: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("asking the enforcer for connections: %s: %s", response.Status, text)
	}
	return err
}
