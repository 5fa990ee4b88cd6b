package certs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// How often the Secret is read: until the first certificate is there, and afterwards. Whenever the
// authority is replaced, the API server trusts the new one at once, and requests fail until the
// server follows.
const (
	firstEvery   = 500 * time.Millisecond
	rotatedEvery = 5 * time.Second
)

// mirror copies the Secret's certificate into a folder. The kubelet would do so for a mounted
// Secret, but up to two minutes later
// (https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod):
// too long for the first start, when the certificate is made only after the pod runs.
type mirror struct {
	secret types.NamespacedName
	dir    string
	reader client.Reader
}

// NeedLeaderElection is false: every replica serves the webhook.
func (m *mirror) NeedLeaderElection() bool { return false }

// Start copies until the context ends. A failure is logged and tried again.
func (m *mirror) Start(ctx context.Context) error {
	log := ctrl.Log.WithName("certs")
	interval := firstEvery
	for ctx.Err() == nil {
		switch copied, err := m.copy(ctx); {
		case err != nil:
			log.Error(err, "copying the webhook's certificate")
		case copied:
			interval = rotatedEvery // from now on only rotation matters
		}
		select {
		case <-ctx.Done():
		case <-time.After(interval):
		}
	}
	return nil
}

// copy says whether the folder holds the certificate now.
func (m *mirror) copy(ctx context.Context) (bool, error) {
	var secret corev1.Secret
	if err := m.reader.Get(ctx, m.secret, &secret); err != nil {
		return false, fmt.Errorf("reading the Secret %s: %w", m.secret, err)
	}
	if len(secret.Data[corev1.TLSCertKey]) == 0 {
		return false, nil
	}
	// The key first: the webhook server reloads when the certificate changes.
	for _, name := range []string{"ca.crt", corev1.TLSPrivateKeyKey, corev1.TLSCertKey} {
		if err := replace(filepath.Join(m.dir, name), secret.Data[name]); err != nil {
			return false, fmt.Errorf("writing the webhook's certificate: %w", err)
		}
	}
	return true, nil
}

// replace writes a file at once or not at all, and not if it is already as wanted.
func replace(path string, content []byte) error {
	have, err := os.ReadFile(path)
	if err == nil && bytes.Equal(have, content) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
