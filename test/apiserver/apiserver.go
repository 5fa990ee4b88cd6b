// Package apiserver gives a test a real API server, with etcd behind it and the project's CRDs
// installed, from the binaries of the embedded cluster.
package apiserver

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/apptier/apptier/test/cluster"
)

// Option changes the environment before it starts; config is the repository's config folder.
type Option func(e *envtest.Environment, config string)

// WithWebhooks installs the webhook configurations of config/webhook, pointed at a webhook server
// of the test's own: its port and certificate are then in Environment.WebhookInstallOptions.
func WithWebhooks() Option {
	return func(e *envtest.Environment, config string) {
		e.WebhookInstallOptions.Paths = []string{filepath.Join(config, "webhook", "manifests.yaml")}
	}
}

// Start starts an API server that ends with the test. It skips the test with -short, since the
// first start on a machine builds the API server.
func Start(t *testing.T, options ...Option) (*rest.Config, *envtest.Environment) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server, which -short leaves out")
	}
	progress := io.Discard
	if testing.Verbose() {
		progress = os.Stderr
	}
	assets, err := cluster.Assets(t.Context(), progress)
	if err != nil {
		t.Fatalf("finding an API server: %v", err)
	}
	repository, err := cluster.Repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	manifests := filepath.Join(repository, "config")
	environment := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join(manifests, "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	for _, option := range options {
		option(environment, manifests)
	}
	// Before the start, which may leave processes behind when it fails half-way.
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	config, err := environment.Start()
	if err != nil {
		t.Fatalf("starting an API server: %v", err)
	}
	return config, environment
}
