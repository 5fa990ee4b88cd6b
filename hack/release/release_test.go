package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	repository  = "../.."
	testVersion = "v0.1.0"
	registry    = "registry.example.com/apptier"
)

// platforms are for a try that takes less time; the tests of a change are for all.
var platforms = flag.String("platforms", "", "platforms to make releases for, such as linux/amd64; empty is all")

// chosen is what there is for the platforms.
func chosen() *release {
	var r release
	r.choose(*platforms)
	return &r
}

// first is a release for all tests to look at.
var first string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "release-test-")
	if err != nil {
		panic(err)
	}
	first = filepath.Join(dir, "dist")
	code := m.Run()
	_ = os.RemoveAll(dir) // the system's folder for such things
	os.Exit(code)
}

// made makes the release at first, and says where a file of it is.
func made(t *testing.T, name ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds programs for six platforms, which -short leaves out")
	}
	if _, err := os.Stat(first); err != nil {
		makeRelease(t, repository, first)
	}
	return filepath.Join(append([]string{first}, name...)...)
}

func makeRelease(t *testing.T, source, out string) {
	t.Helper()
	// What is not committed yet is to be tested too.
	args := []string{"-version", testVersion, "-registry", registry, "-repository", source, "-out", out, "-dirty", "-platforms", *platforms}
	if err := run(t.Context(), args); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The same source gives the same bytes, wherever it is and wherever temporary files are.
func TestReproducible(t *testing.T) {
	want := string(read(t, made(t, sums)))
	source, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	git, err := exec.CommandContext(t.Context(), "git", "-C", source, "rev-parse", "--absolute-git-dir").Output()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := copied(t, source)
	t.Setenv("GIT_DIR", strings.TrimSpace(string(git)))
	t.Setenv("GIT_WORK_TREE", elsewhere)
	t.Setenv("TMPDIR", t.TempDir())
	second := filepath.Join(t.TempDir(), "dist")
	makeRelease(t, elsewhere, second)
	if difference := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(read(t, filepath.Join(second, sums))), "\n")); difference != "" {
		t.Errorf("two releases differ:\n%s", difference)
	}
}

// copied are the files of the repository in another folder.
func copied(t *testing.T, source string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join(source, name))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(target, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(target, name), read(t, filepath.Join(source, name)), info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return target
}

// The checksums are those of all files, as sha256sum reads them.
func TestSums(t *testing.T) {
	list := string(read(t, made(t, sums)))
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "--quiet", sums)
	check.Dir = first
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	err := filepath.WalkDir(first, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(first, file)
		if name != sums && !strings.Contains(list, "  "+name+"\n") {
			t.Errorf("no sum of %s", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Each archive has the plugin, its completion and the license.
func TestArchives(t *testing.T) {
	for _, p := range chosen().plugins {
		t.Run(p.String(), func(t *testing.T) {
			var got, want []string
			if file := made(t, plugin+"_"+testVersion+"_"+p.os+"_"+p.arch); p.os == "windows" {
				got, want = zipped(t, file+".zip"), []string{"kubectl-apptier.exe", "kubectl_complete-apptier.cmd", "LICENSE"}
			} else {
				got, want = unpack(t, file+".tar.gz", t.TempDir()), []string{"kubectl-apptier", "kubectl_complete-apptier", "LICENSE"}
			}
			if !slices.Equal(got, want) {
				t.Errorf("it has %q", got)
			}
		})
	}
}

func zipped(t *testing.T, file string) []string {
	t.Helper()
	r, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var names []string
	for _, f := range r.File {
		names = append(names, f.Name)
	}
	return names
}

// unpack unpacks an archive into a folder and says which files it has.
func unpack(t *testing.T, file, dir string) []string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(read(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, header.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, header.FileInfo().Mode().Perm()); err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}

// The plugin says which version it is, and completes words, also as kubectl asks it to.
func TestPluginRuns(t *testing.T) {
	dir := t.TempDir()
	unpack(t, made(t, plugin+"_"+testVersion+"_linux_"+runtime.GOARCH+".tar.gz"), dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for command, want := range map[string]string{
		"kubectl-apptier version":         `(?m)v0\.1\.0$`,
		"kubectl_complete-apptier expl":   `(?m)^explain\s`,
		"kubectl-apptier lint -f " + shop: ``,
	} {
		args := strings.Fields(command)
		out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
		if err != nil || !regexp.MustCompile(want).Match(out) {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
}

const shop = repository + "/config/samples/shop.yaml"

// What cannot become a release is refused before anything is built.
func TestRefuses(t *testing.T) {
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct{ version, out, want string }{
		"no version":                     {"", "dist", "not like v1.2.3"},
		"a version without v":            {"0.1.0", "dist", "not like v1.2.3"},
		"a version that a tag cannot be": {"v0.1.0+1", "dist", "not like v1.2.3"},
		"an untold version":              {"v99.0.0", "dist", "CHANGELOG.md has no section of v99.0.0"},
		"a folder of something else":     {testVersion, used, "is not a release"},
	} {
		t.Run(name, func(t *testing.T) {
			out := try.out
			if !filepath.IsAbs(out) {
				out = filepath.Join(t.TempDir(), out)
			}
			err := run(t.Context(), []string{"-version", try.version, "-repository", repository, "-out", out, "-dirty"})
			if err == nil || !strings.Contains(err.Error(), try.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
