package build

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

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
