package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are what kubectl installs: a folder of config/, with components.
var manifests = []struct {
	file, base string
	components []string
}{
	{"install.yaml", "default", nil},
	{"install-no-enforcer.yaml", "default", []string{"no-enforcer"}},
	{"install-strict.yaml", "default", []string{"strict"}},
	{"crds.yaml", "crd", nil},
}

func (r *release) writeManifests() error {
	for _, m := range manifests {
		text, err := r.kustomize(m.base, m.components)
		if err != nil {
			return fmt.Errorf("making %s: %w", m.file, err)
		}
		if err := r.writeFile(m.file, text); err != nil {
			return err
		}
	}
	return nil
}

// kustomize builds a folder of config/ with the released images, by their digests.
func (r *release) kustomize(base string, components []string) ([]byte, error) {
	// Kustomize takes no absolute paths.
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	config, err := relative(dir, filepath.Join(r.root, "config"))
	if err != nil {
		return nil, err
	}
	k := types.Kustomization{
		Resources: []string{filepath.Join(config, base)},
		Labels:    []types.Label{{Pairs: map[string]string{"app.kubernetes.io/version": r.version}, IncludeTemplates: true}},
	}
	for _, component := range components {
		k.Components = append(k.Components, filepath.Join(config, "components", component))
	}
	for _, name := range imageNames {
		k.Images = append(k.Images, types.Image{
			Name: "apptier/" + name, NewName: r.registry + "/" + name, NewTag: r.version, Digest: r.images[name].String(),
		})
	}
	text, err := yaml.Marshal(k)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600); err != nil {
		return nil, err
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	return resources.AsYaml()
}

func relative(from, to string) (string, error) {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return "", err
	}
	if to, err = filepath.Abs(to); err != nil {
		return "", err
	}
	if to, err = filepath.EvalSymlinks(to); err != nil {
		return "", err
	}
	return filepath.Rel(from, to)
}
