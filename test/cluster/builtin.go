package cluster

import "path/filepath"

const (
	pauseImage = "registry.k8s.io/pause:3.10"
	dnsImage   = "apptier/dns:cluster"
)

// AgnhostImage is the image with Kubernetes' own test server and client, at the tag that the end-to-end
// tests of this Kubernetes ask for.
const AgnhostImage = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"

func (p programs) pauseTar() string { return filepath.Join(p.init, "images", "pause.tar") }

func (p programs) agnhostTar() string { return filepath.Join(p.bin, "images", "agnhost.tar") }

func (p programs) dnsTar() string { return filepath.Join(p.bin, "images", "dns.tar") }

// builtinImages are the images that every cluster has, by their tar beside the programs they are made of.
// The pause image is the node's init under another name: two megabytes to unpack for every pod rather
// than agnhost's sixty.
func (p programs) builtinImages() map[string]Image {
	return map[string]Image{
		p.pauseTar(): {
			Refs:       []string{pauseImage},
			Files:      map[string]string{"/pause": filepath.Join(p.init, "node")},
			Entrypoint: []string{"/pause", "pause"},
			User:       "65535:65535",
		},
		p.agnhostTar(): {
			Refs:       []string{AgnhostImage},
			Files:      map[string]string{"/agnhost": filepath.Join(p.bin, "agnhost")},
			Entrypoint: []string{"/agnhost"},
			Args:       []string{"pause"},
			Env:        []string{"PATH=/:/usr/bin"},
		},
		p.dnsTar(): {
			Refs:       []string{dnsImage},
			Files:      map[string]string{"/coredns": filepath.Join(p.bin, "coredns")},
			Entrypoint: []string{"/coredns"},
			User:       "65532:65532",
		},
	}
}

// complete tells whether everything has been built. Folders and tars appear whole or not at all, so
// their presence is all there is to check.
func (p programs) complete() bool {
	for tar := range p.builtinImages() {
		if !exists(tar) {
			return false
		}
	}
	return exists(p.bin) && exists(p.init)
}

func (p programs) writeImages() error {
	for tar, image := range p.builtinImages() {
		if exists(tar) {
			continue
		}
		if err := image.WriteTar(tar); err != nil {
			return err
		}
	}
	return nil
}
