package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const plugin = "kubectl-apptier"

// imageNames are the programs that images are made of, imageArchs the processors of their nodes.
var (
	imageNames = []string{"manager", "enforcer"}
	imageArchs = []string{"amd64", "arm64"}
)

// pluginPlatforms are what people run kubectl on.
var pluginPlatforms = []program{
	{plugin, "linux", "amd64"}, {plugin, "linux", "arm64"},
	{plugin, "darwin", "amd64"}, {plugin, "darwin", "arm64"},
	{plugin, "windows", "amd64"}, {plugin, "windows", "arm64"},
}

// choose says which platforms the release is for; "" is all.
func (r *release) choose(platforms string) {
	chosen := func(os, arch string) bool {
		return platforms == "" || slices.Contains(strings.Split(platforms, ","), os+"/"+arch)
	}
	for _, arch := range imageArchs {
		if chosen("linux", arch) {
			r.archs = append(r.archs, arch)
		}
	}
	for _, p := range pluginPlatforms {
		if chosen(p.os, p.arch) {
			r.plugins = append(r.plugins, p)
		}
	}
}

// all are the programs in the order that they are built, and listed in.
func (r *release) all() []program {
	var all []program
	for _, name := range imageNames {
		for _, arch := range r.archs {
			all = append(all, program{name, "linux", arch})
		}
	}
	return append(all, r.plugins...)
}

// build builds the programs, one by one: each takes all processors.
func (r *release) build(ctx context.Context, dir string) error {
	r.programs = map[program]string{}
	for _, p := range r.all() {
		file := filepath.Join(dir, p.String())
		// No paths of this machine, no symbols, nothing of the version control but what provenance says.
		command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
			"-ldflags", "-s -w -buildid= -X github.com/apptier/apptier/internal/version.Version="+r.version, "-o", file, "./cmd/"+p.name)
		command.Dir = r.root
		command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch,
			"GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOWORK=off")
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", p, err, out)
		}
		r.programs[p] = file
	}
	return nil
}
