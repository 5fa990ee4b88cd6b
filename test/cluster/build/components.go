package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/apptier/apptier/internal/testenv/repository"
)

// part is one program and how to build it.
type part struct {
	name   string // the program's path in the cache
	module string // the folder under components whose go.mod pins it
	pkg    string
	cgo    bool
	tags   string
	test   bool // the package's tests, as a program
	cost   cost
}

const (
	k8sCommand = "k8s.io/kubernetes/cmd/"
	ctrCommand = "github.com/containerd/containerd/v2/cmd/"
	cniPlugins = "github.com/containernetworking/plugins/plugins/"
)

// parts are all programs but the node's init, which changes with the project and is built apart. What they cost is from a
// build with an empty cache on two quiet cores (2026-11-30: 8 minutes and 3 seconds).
var parts = []part{
	{name: "etcd", module: "kubernetes", pkg: "go.etcd.io/etcd/server/v3", cost: cost{58, 565}},
	{name: "kube-apiserver", module: "kubernetes", pkg: k8sCommand + "kube-apiserver", cost: cost{220, 1616}},
	{name: "kube-controller-manager", module: "kubernetes", pkg: k8sCommand + "kube-controller-manager", cost: cost{59, 363}},
	{name: "kube-scheduler", module: "kubernetes", pkg: k8sCommand + "kube-scheduler", cost: cost{5.6, 6}},
	{name: "kubectl", module: "kubernetes", pkg: k8sCommand + "kubectl", cost: cost{15, 193}},
	{name: "kubelet", module: "kubernetes", pkg: k8sCommand + "kubelet", cost: cost{16, 105}},
	{name: "kube-proxy", module: "kubernetes", pkg: k8sCommand + "kube-proxy", cost: cost{7.2, 39}},
	{name: "agnhost", module: "kubernetes", pkg: "k8s.io/kubernetes/test/images/agnhost", cost: cost{4.3, 41}},
	{name: "containerd", module: "node", pkg: ctrCommand + "containerd", cost: cost{42, 704}},
	{name: "containerd-shim-runc-v2", module: "node", pkg: ctrCommand + "containerd-shim-runc-v2", cost: cost{0.9, 11}},
	{name: "ctr", module: "node", pkg: ctrCommand + "ctr", cost: cost{2.8, 26}},
	// Without seccomp runc cannot start a single pod sandbox, and seccomp needs the C library.
	{name: "runc", module: "node", pkg: "github.com/opencontainers/runc", cgo: true, tags: "seccomp", cost: cost{7.8, 41}},
	{name: "cni/bridge", module: "node", pkg: cniPlugins + "main/bridge", cost: cost{1, 25}},
	{name: "cni/ptp", module: "node", pkg: cniPlugins + "main/ptp", cost: cost{0.3, 1}},
	{name: "cni/loopback", module: "node", pkg: cniPlugins + "main/loopback", cost: cost{0.1, 1}},
	{name: "cni/host-local", module: "node", pkg: cniPlugins + "ipam/host-local", cost: cost{0.3, 2}},
	{name: "cni/portmap", module: "node", pkg: cniPlugins + "meta/portmap", cost: cost{0.3, 2}},
	{name: "coredns", module: "dns", pkg: ".", cost: cost{43, 183}},
}

// conformanceParts are what Kubernetes tests clusters with, and are built only to do so.
var conformanceParts = []part{
	{name: "ginkgo", module: "conformance", pkg: "github.com/onsi/ginkgo/v2/ginkgo"},
	{name: "e2e.test", module: "conformance", pkg: "k8s.io/kubernetes/test/e2e", test: true},
}

// source is where the project's files are, and the version of what they pin.
type source struct {
	dir     string // the project's main module; the tests are a module in its folder test
	version string // of Kubernetes, such as v1.37.1
}

func findSource(ctx context.Context) (source, error) {
	dir, err := repository.Dir(ctx)
	if err != nil {
		return source{}, err
	}
	s := source{dir: dir}
	mod, err := os.ReadFile(filepath.Join(s.module("kubernetes"), "go.mod"))
	if err != nil {
		return source{}, fmt.Errorf("find the components of the cluster: %w", err)
	}
	s.version, err = kubernetesVersion(string(mod))
	return s, err
}

func (s source) module(name string) string {
	return filepath.Join(s.dir, "test", "cluster", "components", name)
}

var kubernetesRequirement = regexp.MustCompile(`(?m)^\s*(?:require )?k8s\.io/kubernetes (v\S+)`)

func kubernetesVersion(mod string) (string, error) {
	match := kubernetesRequirement.FindStringSubmatch(mod)
	if match == nil {
		return "", fmt.Errorf("the kubernetes components' go.mod requires no k8s.io/kubernetes")
	}
	return match[1], nil
}

// key names the cache folder of parts: whatever could change what is built changes the key.
func (s source) key(parts []part) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	var modules []string
	for _, p := range parts {
		fmt.Fprintln(hash, p.name, p.module, s.buildArgs(p, "out"))
		if !slices.Contains(modules, p.module) {
			modules = append(modules, p.module)
		}
	}
	for _, module := range modules {
		if err := hashFiles(hash, s.module(module), ".go", ".mod", ".sum"); err != nil {
			return "", err
		}
	}
	return s.version + "-" + hex.EncodeToString(hash.Sum(nil))[:10], nil
}

// initKey does the same for the node's init, from its own sources.
func (s source) initKey() (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, folder := range []string{"cmd/node", "internal/control"} {
		if err := hashFiles(hash, filepath.Join(s.dir, "test", "cluster", folder), ".go"); err != nil {
			return "", err
		}
	}
	return "init-" + hex.EncodeToString(hash.Sum(nil))[:10], nil
}

// hashFiles adds the names and contents of a folder's files of the given kinds; not those of its
// subfolders. os.ReadDir sorts, so the result is stable.
func hashFiles(hash interface{ Write([]byte) (int, error) }, dir string, kinds ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the sources: %w", err)
	}
	for _, entry := range entries {
		for _, kind := range kinds {
			if filepath.Ext(entry.Name()) != kind {
				continue
			}
			content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				return fmt.Errorf("read the sources: %w", err)
			}
			fmt.Fprintln(hash, entry.Name(), len(content))
			if _, err := hash.Write(content); err != nil {
				return err
			}
		}
	}
	return nil
}

// withoutDebugging leaves out what the linker would strip. Whatever is built for a cluster is built with it, and with
// -trimpath, so that packages of the same version are compiled once: also "go run" of the Makefile.
const withoutDebugging = "-gcflags=all=-dwarf=false"

// buildArgs are the arguments to go that build a part.
func (s source) buildArgs(p part, out string) []string {
	ldflags := "-s -w"
	if p.module == "kubernetes" || p.test {
		// A Kubernetes built without a version says v0.0.0, and clients that check for skew refuse it.
		major, rest, _ := strings.Cut(strings.TrimPrefix(s.version, "v"), ".")
		minor, _, _ := strings.Cut(rest, ".")
		const pkg = "k8s.io/component-base/version."
		ldflags += fmt.Sprintf(" -X %sgitVersion=%s -X %sgitMajor=%s -X %sgitMinor=%s", pkg, s.version, pkg, major, pkg, minor)
	}
	args := []string{"build"}
	if p.test {
		args = []string{"test", "-c", "-vet=off"} // the mistakes of others take minutes to look for
	}
	args = append(args, "-trimpath", "-buildvcs=false", withoutDebugging, "-ldflags", ldflags)
	if p.tags != "" {
		args = append(args, "-tags", p.tags)
	}
	return append(args, "-o", out, p.pkg)
}
