package build

import (
	"path/filepath"

	"github.com/apptier/apptier/test/cluster/host"
)

// The images that every cluster runs by itself.
const (
	PauseImage = "registry.k8s.io/pause:3.10"
	DNSImage   = "apptier/dns:cluster"
)

// AgnhostImage is the image with Kubernetes' own test server and client, at the tag that the end-to-end
// tests of this Kubernetes ask for.
const AgnhostImage = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"

// PauseTar is the image of pods themselves.
func (p Programs) PauseTar() string { return filepath.Join(p.Init, "images", "pause.tar") }

// AgnhostTar is AgnhostImage.
func (p Programs) AgnhostTar() string { return filepath.Join(p.Bin, "images", "agnhost.tar") }

// DNSTar is the image of CoreDNS.
func (p Programs) DNSTar() string { return filepath.Join(p.Bin, "images", "dns.tar") }

// builtinImages are the images that every cluster has, by their tar beside the programs they are made of.
// The pause image is the node's init under another name: two megabytes to unpack for every pod rather
// than agnhost's sixty.
func (p Programs) builtinImages() map[string]Image {
	return map[string]Image{
		p.PauseTar(): {
			Refs:       []string{PauseImage},
			Files:      map[string]string{"/pause": filepath.Join(p.Init, "node")},
			Entrypoint: []string{"/pause", "pause"},
			User:       "65535:65535",
		},
		p.AgnhostTar(): {
			Refs:       []string{AgnhostImage},
			Files:      map[string]string{"/agnhost": filepath.Join(p.Bin, "agnhost")},
			Entrypoint: []string{"/agnhost"},
			Args:       []string{"pause"},
			Env:        []string{"PATH=/:/usr/bin"},
		},
		p.DNSTar(): {
			Refs:       []string{DNSImage},
			Files:      map[string]string{"/coredns": filepath.Join(p.Bin, "coredns")},
			Entrypoint: []string{"/coredns"},
			User:       "65532:65532",
		},
	}
}

// complete tells whether everything has been built. Folders and tars appear whole or not at all, so
// their presence is all there is to check.
func (p Programs) complete() bool {
	for tar := range p.builtinImages() {
		if !host.Exists(tar) {
			return false
		}
	}
	return host.Exists(p.Bin) && host.Exists(p.Init)
}

func (p Programs) writeImages() error {
	for tar, image := range p.builtinImages() {
		if host.Exists(tar) {
			continue
		}
		if err := image.WriteTar(tar); err != nil {
			return err
		}
	}
	return nil
}
