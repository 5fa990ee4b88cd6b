package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// release is a version on its way into a folder.
type release struct {
	version, registry, root, out string
	dirty                        bool
	archs                        []string
	plugins                      []program

	commit string
	// time is when the source was committed: what is written says this, and not when it was written.
	time time.Time
	// programs are the built files, and images the digests of the images, by their names.
	programs map[program]string
	images   map[string]v1.Hash
}

// program is one of the commands for a platform.
type program struct{ name, os, arch string }

func (p program) String() string { return p.name + "_" + p.os + "_" + p.arch }

// Semantic versions without "+", which tags of images may not have: https://semver.org.
var versions = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

// prepare finds out what is released.
func (r *release) prepare(ctx context.Context) error {
	if !versions.MatchString(r.version) {
		return fmt.Errorf("the version %q is not like v1.2.3 or v1.2.3-rc.1", r.version)
	}
	changes, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return fmt.Errorf("looking for the version's changes: %w", err)
	}
	if !strings.Contains(string(changes), "\n## ["+strings.TrimPrefix(r.version, "v")+"] - ") {
		return fmt.Errorf("CHANGELOG.md has no section of %s: give it what is below Unreleased", r.version)
	}
	changed, err := r.git(ctx, "status", "--porcelain")
	if err != nil {
		return err
	}
	if changed != "" && !r.dirty {
		return fmt.Errorf("the source is not what is committed; commit it, or ask for -dirty:\n%s", changed)
	}
	if r.commit, err = r.git(ctx, "rev-parse", "HEAD"); err != nil {
		return err
	}
	// https://reproducible-builds.org/docs/source-date-epoch/
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		if seconds, err = r.git(ctx, "log", "-1", "--format=%ct"); err != nil {
			return err
		}
	}
	since, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("reading the time of the source: %w", err)
	}
	r.time = time.Unix(since, 0).UTC()
	return nil
}

func (r *release) git(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir, command.Stderr = r.root, os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// public is what folders are that are for everyone; nothing of a release is secret.
const public fs.FileMode = 0o755

// write writes all of it. A folder that is there is whole: what is made until then is beside it.
func (r *release) write(ctx context.Context) (err error) {
	out, err := filepath.Abs(r.out)
	if err != nil {
		return fmt.Errorf("finding the folder to write to: %w", err)
	}
	if err := replaceable(out); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), public); err != nil {
		return fmt.Errorf("making the folder to write to: %w", err)
	}
	if r.out, err = os.MkdirTemp(filepath.Dir(out), ".release-"); err != nil {
		return fmt.Errorf("making the folder to write to: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.out)) }()
	programs, err := os.MkdirTemp("", "release-")
	if err != nil {
		return fmt.Errorf("making a folder for programs: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(programs)) }()

	if err := r.build(ctx, programs); err != nil {
		return err
	}
	for _, step := range []func() error{
		r.writeImages, r.writeManifests, r.writeChart, r.writePlugin, r.writeSBOMs, r.writeProvenance, r.writeSums,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Chmod(r.out, public), os.RemoveAll(out), os.Rename(r.out, out)); err != nil {
		return fmt.Errorf("putting the release into place: %w", err)
	}
	return nil
}

// replaceable refuses a folder that is not of an earlier release: it would be lost.
func replaceable(out string) error {
	entries, err := os.ReadDir(out)
	// "make build-installer" writes this one file there.
	installer := len(entries) == 1 && entries[0].Name() == "install.yaml"
	if os.IsNotExist(err) || err == nil && (len(entries) == 0 || installer) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking into the folder to write to: %w", err)
	}
	if _, err := os.Stat(filepath.Join(out, sums)); err != nil {
		return fmt.Errorf("%s has something in it that is not a release: remove it, or choose another folder", out)
	}
	return nil
}

// writeFile writes a file of the release, by its path in the folder.
func (r *release) writeFile(name string, content []byte) error {
	file := filepath.Join(r.out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), public); err != nil {
		return fmt.Errorf("making the folder of %s: %w", name, err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil { //nolint:gosec // it is for everyone
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
