package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/kio"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

const (
	repository = "../.."
	chart      = repository + "/charts/apptier"
)

// program is helm as tools/go.mod has it, built at first.
var program = sync.OnceValues(func() (string, error) {
	command := exec.Command("go", "tool", "-modfile=tools/go.mod", "-n", "helm")
	command.Dir, command.Stderr = repository, os.Stderr
	out, err := command.Output()
	return strings.TrimSpace(string(out)), err
})

// helm runs helm, apart from what the user has of it, and says what it prints, and prints as errors.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds helm at first, which -short leaves out")
	}
	path, err := program()
	if err != nil {
		t.Fatalf("building helm: %v", err)
	}
	var out, errs bytes.Buffer
	command := exec.CommandContext(t.Context(), path, args...)
	home := t.TempDir()
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	command.Stdout, command.Stderr = &out, &errs
	err = command.Run()
	return out.String(), errs.String(), err
}

// rendered are the objects of the chart with values, by what they are.
func rendered(t *testing.T, namespace string, values map[string]any) map[string]map[string]any {
	t.Helper()
	stdout, stderr, err := helm(t, "template", "apptier", chart, "--skip-tests", "--namespace", namespace, "--values", fileOf(t, values))
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, stderr)
	}
	nodes, err := (&kio.ByteReader{Reader: strings.NewReader(stdout), OmitReaderAnnotations: true}).Read()
	if err != nil {
		t.Fatalf("reading what helm renders: %v", err)
	}
	return byName(t, nodes)
}

func fileOf(t *testing.T, values map[string]any) string {
	t.Helper()
	text, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func byName(t *testing.T, nodes []*kyaml.RNode) map[string]map[string]any {
	t.Helper()
	objects := map[string]map[string]any{}
	for _, node := range nodes {
		text, err := node.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		name := node.GetKind() + " " + node.GetNamespace() + "/" + node.GetName()
		if objects[name] != nil {
			t.Errorf("there are two of %s", name)
		}
		objects[name] = object
	}
	return objects
}
