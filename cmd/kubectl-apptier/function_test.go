package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/v3/golden"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const example = "../../config/samples/kustomize-function"

// name is what kustomize looks for on the PATH.
const name = "kubectl-apptier"

// TestMain makes this test binary the plugin when it is called by the plugin's name: what is tested
// is the program itself, and nothing needs to be built again.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == name {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// program puts the plugin on the PATH.
func program(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	if err := os.Symlink(self, filepath.Join(directory, name)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", directory+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// build is kustomize build --enable-alpha-plugins --enable-exec.
func build(directory string) (string, error) {
	options := krusty.MakeDefaultOptions()
	options.PluginConfig = types.EnabledPluginConfig(types.BploUseStaticallyLinked)
	options.PluginConfig.FnpLoadingOptions.EnableExec = true
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		return "", err
	}
	text, err := resources.AsYaml()
	return string(text), err
}

func TestKustomizeFunctionExample(t *testing.T) {
	program(t)
	got, err := build(example)
	if err != nil {
		t.Fatal(err)
	}
	golden.Assert(t, got, "kustomize-function.yaml")
}

// A second run, over what the first one added, changes nothing.
func TestKustomizeFunctionTwice(t *testing.T) {
	program(t)
	once := kustomization(t, "function.yaml")
	twice := kustomization(t, "function.yaml", "again.yaml")
	want, onceErr := build(once)
	got, twiceErr := build(twice)
	if onceErr != nil || twiceErr != nil {
		t.Fatal(onceErr, twiceErr)
	}
	if !strings.Contains(got, "kind: AppTier") || !strings.Contains(got, "kind: NetworkPolicy") {
		t.Errorf("not both are there, AppTiers and NetworkPolicies:\n%s", got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-once +twice):\n%s", diff)
	}
}

// What is refused fails the build.
func TestKustomizeFunctionRefuses(t *testing.T) {
	program(t)
	directory := kustomization(t, "function.yaml")
	file := filepath.Join(directory, "shop.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte("{app: web}"), []byte("{}"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := build(directory); err == nil {
		t.Errorf("it builds:\n%s", got)
	}
}

// kustomization is the example with these functions, each of which keeps the AppTiers.
func kustomization(t *testing.T, functions ...string) string {
	t.Helper()
	directory := t.TempDir()
	if err := os.CopyFS(directory, os.DirFS(example)); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	main := "namespace: shop\nresources: [shop.yaml, redis.yaml]\ntransformers:\n"
	for _, name := range functions {
		main += "- " + name + "\n"
		write(name, `{apiVersion: v1, kind: ConfigMap, metadata: {name: `+name+`, annotations: {config.kubernetes.io/function: "exec: {path: kubectl-apptier, args: [fn]}"}}}`)
	}
	write("kustomization.yaml", main)
	return directory
}
