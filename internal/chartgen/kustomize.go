package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// build is what kustomize makes of config/BASE of a repository, with components of config/components and anything else
// a kustomization says.
func build(repository, base string, components []string, more types.Kustomization) ([]*kyaml.RNode, error) {
	dir, err := os.MkdirTemp("", "chartgen-")
	if err != nil {
		return nil, fmt.Errorf("making a kustomization: %w", err)
	}
	defer os.RemoveAll(dir)
	// Kustomize takes no absolute paths.
	config, err := relative(dir, filepath.Join(repository, "config"))
	if err != nil {
		return nil, fmt.Errorf("finding the repository's kustomizations: %w", err)
	}
	more.Resources = append(more.Resources, filepath.Join(config, base))
	for _, component := range components {
		more.Components = append(more.Components, filepath.Join(config, "components", component))
	}
	text, err := yaml.Marshal(more)
	if err != nil {
		return nil, fmt.Errorf("making a kustomization: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600); err != nil {
		return nil, fmt.Errorf("making a kustomization: %w", err)
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("building config/%s with %v: %w", base, components, err)
	}
	return resources.ToRNodeSlice(), nil
}

func relative(from, to string) (string, error) {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return "", err
	}
	to, err = filepath.Abs(to)
	if err != nil {
		return "", err
	}
	if to, err = filepath.EvalSymlinks(to); err != nil {
		return "", err
	}
	return filepath.Rel(from, to)
}
