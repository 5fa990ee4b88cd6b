package build

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// GoImage is an image with a program of this project, built anew each time from the source as it is.
type GoImage struct {
	// Ref is the image's name.
	Ref string
	// Package is the program's package, such as "./cmd/manager".
	Package string
	// Module is the folder of the module that has the package, below that of the project; empty is the project's own.
	Module string
	// Binary is the program's path in the image, "/" and the package's last part when empty.
	Binary string
	// User is "uid:gid"; empty is root.
	User string
	// Programs are programs of this machine that the image gets, each at its own path, with the shared
	// libraries they need.
	Programs []string
}

// ManagerImage is the image of the project's manager.
func ManagerImage() GoImage {
	return GoImage{Ref: "apptier/manager:dev", Package: "./cmd/manager", User: "65532:65532"}
}

// EnforcerImage is the image of the project's enforcer, which changes the node's packet filter and so
// runs as root.
func EnforcerImage() GoImage {
	return GoImage{Ref: "apptier/enforcer:dev", Package: "./cmd/enforcer"}
}

// WithProgram adds a program of this machine.
func (g GoImage) WithProgram(name string) GoImage {
	g.Programs = append(g.Programs[:len(g.Programs):len(g.Programs)], name)
	return g
}

// Write builds the program and writes the image's tar into the user's cache, for Load.
func (g GoImage) Write(ctx context.Context) (tar string, err error) {
	dir, err := CacheDir("images")
	if err != nil {
		return "", err
	}
	tar = filepath.Join(dir, strings.NewReplacer("/", "_", ":", "_").Replace(g.Ref)+".tar")
	return tar, g.WriteTar(ctx, tar)
}

// WriteTar does the same to a file of the caller's choice.
func (g GoImage) WriteTar(ctx context.Context, file string) error {
	image, cleanup, err := g.build(ctx)
	if err != nil {
		return fmt.Errorf("build the image %s: %w", g.Ref, err)
	}
	defer cleanup()
	return image.WriteTar(file)
}

func (g GoImage) build(ctx context.Context) (image Image, cleanup func(), err error) {
	src, err := findSource(ctx)
	if err != nil {
		return Image{}, nil, err
	}
	dir, err := os.MkdirTemp("", "goimage-")
	if err != nil {
		return Image{}, nil, err
	}
	cleanup = func() { _ = os.RemoveAll(dir) }
	binary := filepath.Join(dir, "program")
	args := []string{"build", "-trimpath", "-buildvcs=false", withoutDebugging, "-ldflags", "-s -w", "-o", binary, g.Package}
	if err := (builder{}).goBuild(ctx, filepath.Join(src.dir, g.Module), false, args); err != nil {
		cleanup()
		return Image{}, nil, err
	}
	at := g.Binary
	if at == "" {
		at = "/" + path.Base(g.Package)
	}
	image = Image{
		Refs: []string{g.Ref}, Files: map[string]string{at: binary}, Entrypoint: []string{at}, User: g.User,
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	for _, name := range g.Programs {
		if err := addProgram(ctx, image.Files, name); err != nil {
			cleanup()
			return Image{}, nil, err
		}
	}
	return image, cleanup, nil
}

// addProgram adds a program of this machine and what it is linked with to an image's files.
func addProgram(ctx context.Context, files map[string]string, name string) error {
	program, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("the image wants this machine's %s: %w", name, err)
	}
	files[program] = program
	dynamic, err := isDynamic(program)
	if err != nil || !dynamic {
		return err
	}
	out, err := exec.CommandContext(ctx, "ldd", program).Output()
	if err != nil {
		return fmt.Errorf("find the libraries of %s: %w", program, err)
	}
	libraries, err := parseLdd(string(out))
	for _, library := range libraries {
		files[library] = library
	}
	return err
}

func isDynamic(program string) (bool, error) {
	file, err := elf.Open(program)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", program, err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			return true, nil
		}
	}
	return false, nil
}

// parseLdd reads the paths from what ldd prints: "name => path (address)" for a library and
// "path (address)" for the loader. What has no path, such as the kernel's own linux-vdso, is no file.
func parseLdd(out string) ([]string, error) {
	var paths []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "not found") {
			return nil, errors.New("a library is missing on this machine: " + strings.TrimSpace(line))
		}
		if _, after, found := strings.Cut(line, "=> "); found {
			line = after
		}
		if file, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(file, "/") {
			paths = append(paths, file)
		}
	}
	return paths, nil
}
