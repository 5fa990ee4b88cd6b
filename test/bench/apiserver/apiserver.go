// Package apiserver starts an API server that knows the project's kinds, for measurements.
package apiserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/cluster/build"
)

// Start starts the API server of the embedded cluster, with an etcd. The caller stops it.
func Start(ctx context.Context) (*envtest.Environment, error) {
	assets, err := build.Assets(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	root, err := repository.Dir(ctx)
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	if _, err := environment.Start(); err != nil {
		return nil, errors.Join(err, environment.Stop())
	}
	return environment, nil
}
