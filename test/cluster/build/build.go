// Package build builds from Go modules what a cluster runs: its programs, their images, and Kubernetes' own tests.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apptier/apptier/test/cluster/host"
)

// Programs is where the built programs are.
type Programs struct {
	Bin  string // etcd, the Kubernetes programs, containerd and its kin, cni/, images/
	Init string // the node's init, images/
}

// Assets returns the folder that holds etcd, kube-apiserver and kubectl, as envtest wants them in its
// BinaryAssetsDirectory, and builds them first where needed.
func Assets(ctx context.Context, progress io.Writer) (string, error) {
	p, err := All(ctx, progress)
	return p.Bin, err
}

// All builds every program that a cluster is made of, if this machine has not built them before, and
// tells the progress. Cold it takes 8 to 10 minutes on two cores; the result is kept in the user's cache.
func All(ctx context.Context, progress io.Writer) (Programs, error) {
	src, err := findSource(ctx)
	if err != nil {
		return Programs{}, err
	}
	key, err := src.key(parts)
	if err != nil {
		return Programs{}, err
	}
	initKey, err := src.initKey()
	if err != nil {
		return Programs{}, err
	}
	cache, err := CacheDir("cluster")
	if err != nil {
		return Programs{}, err
	}
	p := Programs{Bin: filepath.Join(cache, key), Init: filepath.Join(cache, initKey)}
	if p.complete() {
		return p, nil
	}
	unlock, err := host.Lock(ctx, filepath.Join(cache, "lock"))
	if err != nil {
		return Programs{}, err
	}
	defer unlock()
	b := builder{source: src, report: newReport(progress)}
	const what = "the programs of the cluster (once on this machine; about 10 minutes when Go's build cache is empty)"
	if err := once(p.Bin, func(dir string) error { return b.buildParts(ctx, dir, what, parts) }); err != nil {
		return Programs{}, err
	}
	if err := once(p.Init, func(dir string) error { return b.buildInit(ctx, dir) }); err != nil {
		return Programs{}, err
	}
	return p, p.writeImages()
}

// once fills a folder by way of a temporary one, unless it is there already.
func once(dir string, fill func(dir string) error) error {
	if host.Exists(dir) {
		return nil
	}
	temporary := dir + ".building"
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return err
	}
	if err := fill(temporary); err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return os.Rename(temporary, dir)
}

type builder struct {
	source source
	report *report
	// compiled is told of each package that had to be compiled; may be nil.
	compiled func()
}

func (b builder) buildParts(ctx context.Context, dir, what string, parts []part) error {
	if slices.ContainsFunc(parts, func(p part) bool { return p.cgo }) {
		if err := checkSeccomp(ctx); err != nil {
			return err
		}
	}
	b.report.start(what, parts)
	defer b.report.stop()
	b.compiled = b.report.compiled
	for _, p := range parts {
		out := filepath.Join(dir, p.name)
		if err := b.report.step(p, func() error {
			if ready := readyMade(ctx, p.name, b.source.version); ready != "" {
				return copyFile(ready, out)
			}
			return b.goBuild(ctx, b.source.module(p.module), p.cgo, b.source.buildArgs(p, out))
		}); err != nil {
			return fmt.Errorf("build %s: %w", p.name, err)
		}
	}
	return nil
}

func (b builder) buildInit(ctx context.Context, dir string) error {
	out := filepath.Join(dir, "node")
	err := b.goBuild(ctx, filepath.Join(b.source.dir, "test"), false,
		[]string{"build", "-trimpath", "-buildvcs=false", withoutDebugging, "-ldflags", "-s -w", "-o", out, "./cluster/cmd/node"})
	if err != nil {
		return fmt.Errorf("build the node's init: %w", err)
	}
	return nil
}

// goBuild runs go where a workspace or settings of the user's environment cannot interfere.
func (b builder) goBuild(ctx context.Context, dir string, cgo bool, args []string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// The compiler is a Go program too: memory that it need not tidy up saves a tenth of a cold build.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0", "GOGC=400")
	if cgo {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1")
	}
	if b.compiled != nil && args[0] == "build" {
		cmd.Args = slices.Insert(cmd.Args, 2, "-v")
	}
	out := &packages{compiled: b.compiled}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func checkSeccomp(ctx context.Context) error {
	if err := exec.CommandContext(ctx, "pkg-config", "--exists", "libseccomp").Run(); err != nil {
		return errors.New("runc needs the seccomp library to build: apt-get install libseccomp-dev pkg-config")
	}
	return nil
}

const apiServer = "kube-apiserver"

// readyMade is a program that envtest's own tooling has already put on this machine, if it is of the
// version that is wanted.
func readyMade(ctx context.Context, name, version string) string {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" || (name != "etcd" && name != apiServer) || !host.Exists(filepath.Join(dir, name)) {
		return ""
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, apiServer), "--version").Output()
	if err != nil || strings.TrimSpace(string(out)) != "Kubernetes "+version {
		return ""
	}
	return filepath.Join(dir, name)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}

// CacheDir makes, where needed, and returns a folder of the user's cache.
func CacheDir(name string) (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w", err)
	}
	dir := filepath.Join(user, "apptier", name)
	return dir, os.MkdirAll(dir, 0o755)
}
