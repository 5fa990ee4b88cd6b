package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is a container image made of files of this machine, without a container engine.
type Image struct {
	// Refs are the names it goes by, such as "apptier/manager:dev".
	Refs []string
	// Files says which file of this machine is found at which path of the image. Symbolic links are
	// followed, and the files keep their permissions.
	Files map[string]string
	// Entrypoint is the program and its first arguments.
	Entrypoint []string
	// Args are the arguments that a container may replace.
	Args []string
	// User is "uid" or "uid:gid"; empty is root.
	User string
	// Env holds NAME=VALUE.
	Env []string
}

// WriteTar writes the image as the tar that "docker save" writes, which containerd imports. The same
// files give the same bytes.
func (i Image) WriteTar(file string) error {
	image, err := i.build()
	if err != nil {
		return fmt.Errorf("make the image %s: %w", strings.Join(i.Refs, ", "), err)
	}
	tags := map[name.Tag]v1.Image{}
	for _, ref := range i.Refs {
		tag, err := name.NewTag(ref)
		if err != nil {
			return fmt.Errorf("name the image: %w", err)
		}
		tags[tag] = image
	}
	if err := writeTags(file, tags); err != nil {
		return fmt.Errorf("write the image %s: %w", strings.Join(i.Refs, ", "), err)
	}
	return nil
}

// writeTags goes by way of a temporary file, so that a tar that is there is whole.
func writeTags(file string, tags map[name.Tag]v1.Image) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.%d", file, os.Getpid())
	if err := tarball.MultiWriteToFile(temporary, tags); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return os.Rename(temporary, file)
}

func (i Image) build() (v1.Image, error) {
	content, err := i.layer()
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: i.Entrypoint, Cmd: i.Args, User: i.User, Env: i.Env}
	return mutate.ConfigFile(image, config)
}

// layer is the one layer of the image: its files, the folders above them and a /tmp.
func (i Image) layer() ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	folders := map[string]int64{"tmp": 0o1777, "etc": 0o755}
	for file := range i.Files {
		for dir := path.Dir(strings.TrimPrefix(path.Clean(file), "/")); dir != "."; dir = path.Dir(dir) {
			if _, ok := folders[dir]; !ok {
				folders[dir] = 0o755
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		if err := w.WriteHeader(&tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: folders[dir]}); err != nil {
			return nil, err
		}
	}
	for _, file := range slices.Sorted(maps.Keys(i.Files)) {
		if err := addFile(w, strings.TrimPrefix(path.Clean(file), "/"), i.Files[file]); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

func addFile(w *tar.Writer, as, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New(file + " is not a regular file")
	}
	header := &tar.Header{Name: as, Typeflag: tar.TypeReg, Mode: int64(info.Mode().Perm()), Size: info.Size()}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
