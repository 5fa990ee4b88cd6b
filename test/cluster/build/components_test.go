package build

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestKubernetesVersion(t *testing.T) {
	for mod, want := range map[string]string{
		"require (\n\tk8s.io/api v0.37.1\n\tk8s.io/kubernetes v1.37.1 // indirect\n)": "v1.37.1",
		"require k8s.io/kubernetes v1.38.0\n":                                         "v1.38.0",
		"require k8s.io/api v0.37.1\n":                                                "",
	} {
		got, err := kubernetesVersion(mod)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", mod, got, err, want)
		}
	}
}

// The key names the version and changes with any file that could change what is built.
func TestKeyChangesWithSources(t *testing.T) {
	s := source{dir: t.TempDir(), version: "v1.2.3"}
	for _, module := range []string{"kubernetes", "node", "dns"} {
		write(t, filepath.Join(s.module(module), "go.mod"), "module "+module)
	}
	key := func() string {
		k, err := s.key(parts)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key()
	if !strings.HasPrefix(first, "v1.2.3-") {
		t.Errorf("the key %s does not name the version", first)
	}
	if key() != first {
		t.Error("the key is not stable")
	}
	write(t, filepath.Join(s.module("dns"), "README"), "no matter")
	if key() != first {
		t.Error("the key changes with a file that is not built")
	}
	write(t, filepath.Join(s.module("dns"), "main.go"), "package main")
	if key() == first {
		t.Error("the key does not change with a source")
	}
}

func TestBuildArgsGiveKubernetesItsVersion(t *testing.T) {
	args := strings.Join(source{version: "v1.37.1"}.buildArgs(parts[0], "out"), " ")
	for _, want := range []string{"gitVersion=v1.37.1", "gitMajor=1", "gitMinor=37", "-trimpath"} {
		if !strings.Contains(args, want) {
			t.Errorf("no %s in %s", want, args)
		}
	}
}

// The tests are those of the Kubernetes that they are run on, and say so.
func TestConformanceFitsTheCluster(t *testing.T) {
	src, err := findSource(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	version, err := kubernetesVersion(read(t, filepath.Join(src.module("conformance"), "go.mod")))
	if err != nil || version != src.version {
		t.Errorf("the tests are of %s, the cluster is %s: %v", version, src.version, err)
	}
	e2e := conformanceParts[1]
	args := strings.Join(src.buildArgs(e2e, "out"), " ")
	for _, want := range []string{"test -c ", "gitVersion=" + version, "-o out k8s.io/kubernetes/test/e2e"} {
		if !strings.Contains(args, want) {
			t.Errorf("no %q in %s", want, args)
		}
	}
}
