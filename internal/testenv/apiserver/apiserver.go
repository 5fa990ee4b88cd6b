// Package apiserver gives a test a real API server, with etcd behind it and the project's CRDs
// installed, from the binaries of the embedded cluster.
package apiserver

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apptier/apptier/internal/testenv/repository"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
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

// Programs is the folder of the embedded cluster's programs: kube-apiserver, etcd, kube-controller-manager
// and others. The test module's command builds them, where this machine has not yet, since the programs'
// builder is no dependency of the project. It is run with the flags that the Makefile runs it with, so that it
// is compiled once. The test is skipped with -short, since the first time on a machine takes minutes.
func Programs(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server, which -short leaves out")
	}
	build := exec.CommandContext(t.Context(), "go", "run", "-trimpath", "./cluster/cmd/cluster", "build")
	build.Dir = filepath.Join(source(t), "test")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	var progress bytes.Buffer
	build.Stderr = &progress
	if testing.Verbose() {
		build.Stderr = os.Stderr
	}
	folder, err := build.Output()
	if err != nil {
		t.Fatalf("finding an API server: %v\n%s", err, progress.Bytes())
	}
	return strings.TrimSpace(string(folder))
}

func source(t *testing.T) string {
	t.Helper()
	dir, err := repository.Dir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Start starts an API server that ends with the test.
func Start(t *testing.T, options ...Option) (*rest.Config, *envtest.Environment) {
	t.Helper()
	programs := Programs(t)
	manifests := filepath.Join(source(t), "config")
	environment := &envtest.Environment{
		BinaryAssetsDirectory: programs,
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
