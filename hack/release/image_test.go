package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	server "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// What is pushed can be pulled: by its tag, by the digest that install.yaml names, and for each processor.
func TestPush(t *testing.T) {
	manifest := string(read(t, made(t, "install.yaml")))
	s := httptest.NewServer(server.New(server.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	to := strings.TrimPrefix(s.URL, "http://") + "/mirror"
	for range 2 { // a second time is no error
		if err := run(t.Context(), []string{"-push", "-registry", to, "-out", first}); err != nil {
			t.Fatal(err)
		}
	}
	for _, image := range imageNames {
		t.Run(image, func(t *testing.T) {
			_, rest, found := strings.Cut(manifest, "image: "+registry+"/"+image+":"+testVersion+"@")
			if !found {
				t.Fatal("install.yaml does not name the image by its digest")
			}
			digest, _, _ := strings.Cut(rest, "\n")
			index := pull(t, to+"/"+image+"@"+digest)
			if tagged, err := pull(t, to+"/"+image+":"+testVersion).Digest(); err != nil || tagged.String() != digest {
				t.Errorf("the tag is %s, want %s: %v", tagged, digest, err)
			}
			list, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			var archs []string
			for _, one := range list.Manifests {
				archs = append(archs, one.Platform.Architecture)
				content, err := index.Image(one.Digest)
				if err != nil {
					t.Fatal(err)
				}
				checkImage(t, image, one.Platform.Architecture, content)
			}
			if !slices.Equal(archs, chosen().archs) {
				t.Errorf("it is for %q", archs)
			}
		})
	}
}

func pull(t *testing.T, from string) v1.ImageIndex {
	t.Helper()
	ref, err := name.ParseReference(from)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("%s: %v", from, err)
	}
	return index
}

// checkImage: one program, of the processor, that needs nothing else in the image; and the user that the Dockerfile has.
func checkImage(t *testing.T, name, arch string, image v1.Image) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != arch || !slices.Equal(config.Config.Entrypoint, []string{"/" + name}) {
		t.Errorf("%s runs %q on %s/%s", name, config.Config.Entrypoint, config.OS, config.Architecture)
	}
	_, stage, _ := strings.Cut(string(read(t, repository+"/Dockerfile")), " AS "+name+"\n")
	if stage, _, _ = strings.Cut(stage, "\nFROM "); !strings.Contains(stage, "\nUSER "+config.Config.User+"\n") {
		t.Errorf("%s runs as %q, and not as in the Dockerfile:\n%s", name, config.Config.User, stage)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers: %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	var names []string
	files := tar.NewReader(content)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
		if header.Name == name {
			checkProgram(t, files, arch)
		}
	}
	if !slices.Equal(names, []string{"etc/", name, "tmp/"}) {
		t.Errorf("it has %q", names)
	}
}

func checkProgram(t *testing.T, content io.Reader, arch string) {
	t.Helper()
	all, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	program, err := elf.NewFile(bytes.NewReader(all))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; program.Machine != want {
		t.Errorf("the program is for %s, want %s", program.Machine, want)
	}
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("the program needs libraries, which the image does not have")
		}
	}
}
