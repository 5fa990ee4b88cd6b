package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// users are what the images' programs run as, as in the Dockerfile.
var users = map[string]string{"manager": "65532:65532", "enforcer": "0:0"}

// refName is the annotation of an OCI layout that has the name of an image in it:
// https://github.com/opencontainers/image-spec/blob/main/annotations.md.
const refName = "org.opencontainers.image.ref.name"

// writeImages writes a folder for each image, as an OCI layout, for all processors.
func (r *release) writeImages() error {
	r.images = map[string]v1.Hash{}
	for _, name := range imageNames {
		index, err := r.index(name)
		if err != nil {
			return fmt.Errorf("making the image %s: %w", name, err)
		}
		if r.images[name], err = index.Digest(); err != nil {
			return fmt.Errorf("making the image %s: %w", name, err)
		}
		path, err := layout.Write(filepath.Join(r.out, "images", name), empty.Index)
		if err != nil {
			return fmt.Errorf("writing the image %s: %w", name, err)
		}
		if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{refName: r.version})); err != nil {
			return fmt.Errorf("writing the image %s: %w", name, err)
		}
	}
	return nil
}

func (r *release) index(name string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range r.archs {
		image, err := r.image(program{name, "linux", arch})
		if err != nil {
			return nil, fmt.Errorf("for %s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	annotated, ok := mutate.Annotations(index, r.labels(name)).(v1.ImageIndex)
	if !ok {
		return nil, fmt.Errorf("annotating made something else of it")
	}
	return annotated, nil
}

// image is one program and nothing else. It is linked statically and speaks to the kernel and the API server alone, whose
// authority is mounted: so there is no base that could go stale.
func (r *release) image(p program) (v1.Image, error) {
	content, err := os.ReadFile(r.programs[p])
	if err != nil {
		return nil, err
	}
	files := []entry{{name: "etc/", mode: 0o755}, {name: p.name, mode: 0o755, content: content}, {name: "tmp/", mode: 0o1777}}
	packed, err := packTar(files, r.time)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer: layer, History: v1.History{Created: v1.Time{Time: r.time}, CreatedBy: "go build ./cmd/" + p.name},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.os, p.arch, v1.Time{Time: r.time}
	config.Config = v1.Config{Entrypoint: []string{"/" + p.name}, User: users[p.name], Labels: r.labels(p.name)}
	return mutate.ConfigFile(image, config)
}

// labels are those that registries show: https://github.com/opencontainers/image-spec/blob/main/annotations.md.
func (r *release) labels(name string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":    "apptier " + name,
		"org.opencontainers.image.version":  r.version,
		"org.opencontainers.image.revision": r.commit,
		"org.opencontainers.image.source":   project,
		"org.opencontainers.image.licenses": license,
		"org.opencontainers.image.created":  r.time.Format("2006-01-02T15:04:05Z07:00"),
	}
}

// push sends the images of a folder to the registry, by the tag that the folder says.
func (r *release) push(ctx context.Context) error {
	for _, image := range imageNames {
		path, err := layout.FromPath(filepath.Join(r.out, "images", image))
		if err != nil {
			return fmt.Errorf("reading the image %s: %w", image, err)
		}
		index, err := path.ImageIndex()
		if err != nil {
			return fmt.Errorf("reading the image %s: %w", image, err)
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			return fmt.Errorf("reading the image %s: %w", image, err)
		}
		for _, one := range manifest.Manifests {
			ref, err := name.NewTag(r.registry + "/" + image + ":" + one.Annotations[refName])
			if err != nil {
				return fmt.Errorf("naming the image %s: %w", image, err)
			}
			content, err := index.ImageIndex(one.Digest)
			if err != nil {
				return fmt.Errorf("reading the image %s: %w", image, err)
			}
			if err := remote.WriteIndex(ref, content, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
				return fmt.Errorf("pushing %s: %w", ref, err)
			}
			fmt.Println(ref.Context().Digest(one.Digest.String()))
		}
	}
	return nil
}
