package cluster

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
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

func TestImageTar(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	write(t, program, "the program")
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	image := Image{
		Refs: []string{"example/tool:dev"}, Files: map[string]string{"/usr/bin/tool": program},
		Entrypoint: []string{"/usr/bin/tool"}, User: "65532:65532", Env: []string{"A=b"},
	}
	first, second := filepath.Join(dir, "1.tar"), filepath.Join(dir, "2.tar")
	for _, file := range []string{first, second} {
		if err := image.WriteTar(file); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, first) != read(t, second) {
		t.Error("the same files gave different tars")
	}
	got, err := tarball.ImageFromPath(first, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := got.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, image.Entrypoint) || config.OS != "linux" {
		t.Errorf("the configuration is %+v", config)
	}
	layers, err := got.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v; want one", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"etc/ 0755", "tmp/ 1777", "usr/ 0755", "usr/bin/ 0755", "usr/bin/tool 0755"}
	if names := list(t, content); !slices.Equal(names, want) {
		t.Errorf("the layer has %q, want %q", names, want)
	}
}

func list(t *testing.T, layer io.Reader) []string {
	t.Helper()
	var names []string
	reader := tar.NewReader(layer)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name+" "+octal(header.Mode))
	}
}

func octal(mode int64) string {
	digits := []byte{byte('0' + mode>>9&7), byte('0' + mode>>6&7), byte('0' + mode>>3&7), byte('0' + mode&7)}
	return string(digits)
}

func TestParseLdd(t *testing.T) {
	const out = "\tlinux-vdso.so.1 (0x00007ffd)\n" +
		"\tlibnftables.so.1 => /lib/x86_64-linux-gnu/libnftables.so.1 (0x00007f)\n" +
		"\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n"
	got, err := parseLdd(out)
	want := []string{"/lib/x86_64-linux-gnu/libnftables.so.1", "/lib64/ld-linux-x86-64.so.2"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if _, err := parseLdd("\tlibgone.so.1 => not found\n"); err == nil {
		t.Error("a missing library is no error")
	}
}

func TestStartTime(t *testing.T) {
	const rest = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21"
	for stat, want := range map[string]uint64{
		"7 (init) S" + rest:       4242,
		"7 (a (b) c) S" + rest:    4242, // names may hold anything
		"7 (init) Z" + rest:       0,    // dead, if not buried
		"7 (init) S 1 2 3":        0,
		"no process ever said it": 0,
	} {
		got, err := startTime(stat)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", stat, got, err, want)
		}
	}
	self, err := identify(os.Getpid())
	if err != nil || !self.alive() {
		t.Errorf("this process is not alive: %+v, %v", self, err)
	}
	self.Started++
	if self.alive() {
		t.Error("a process with another start time is taken for the same")
	}
}

func TestStateSurvivesWriting(t *testing.T) {
	dir := t.TempDir()
	want := state{Name: "a", Created: time.Now().UTC().Truncate(time.Second), Shape: Shape{Nodes: 3, Proxy: ProxyIPTables, CNI: CNIBridge},
		Inits: map[string]process{"n1": {PID: 5, Started: 6}}}
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := readState(dir)
	if err != nil || got.Shape != want.Shape || got.Inits["n1"] != want.Inits["n1"] || !got.Created.Equal(want.Created) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestOptions(t *testing.T) {
	o := Options{}
	if err := o.complete(); err != nil || o.Nodes != 2 || o.Proxy != ProxyNFTables || o.CNI != CNIPtp || o.IPFamily != IPv4 {
		t.Errorf("the zero options become %+v, %v", o, err)
	}
	for _, bad := range []Options{
		{Name: "Upper"}, {Name: "-a"}, {Name: strings.Repeat("a", 25)}, {Name: "../up"},
		{Shape: Shape{Nodes: -1}}, {Shape: Shape{Nodes: 1000}}, {Shape: Shape{Proxy: "ipvs"}}, {Shape: Shape{CNI: "vxlan"}},
		{Shape: Shape{IPFamily: "ipx"}},
	} {
		if err := bad.complete(); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestLockWaits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*pollInterval)
	defer cancel()
	if _, err := lock(ctx, file); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("taken twice: %v", err)
	}
	unlock()
	unlock, err = lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
