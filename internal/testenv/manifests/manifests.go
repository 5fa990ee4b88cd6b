// Package manifests builds the manifests that the project is installed with, for tests.
package manifests

import (
	"context"
	"fmt"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/apptier/apptier/internal/testenv/repository"
)

// Namespace is where config/default installs the manager, and EnforcerNamespace the enforcer.
const (
	Namespace         = "apptier-system"
	EnforcerNamespace = "apptier-enforcer"
)

// Kustomize builds a kustomization of the repository.
func Kustomize(ctx context.Context, path ...string) ([]byte, error) {
	dir, err := repository.Dir(ctx)
	if err != nil {
		return nil, err
	}
	return KustomizeDir(filepath.Join(append([]string{dir}, path...)...))
}

// KustomizeDir builds the kustomization in a folder.
func KustomizeDir(dir string) ([]byte, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("building the kustomization %s: %w", dir, err)
	}
	return resources.AsYaml()
}
