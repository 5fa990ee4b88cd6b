package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

const (
	project = "https://github.com/apptier/apptier"
	license = "Apache-2.0"
)

// archive is the plugin for a platform.
type archive struct {
	OS, Arch, File, SHA256, Binary, Completion string
}

// writePlugin writes the plugin's archives, and what krew installs them by.
func (r *release) writePlugin() error {
	var archives []archive
	for _, p := range r.plugins {
		a := archive{OS: p.os, Arch: p.arch, Binary: p.name, Completion: "kubectl_complete-apptier"}
		pack, suffix := packTarGz, ".tar.gz"
		if p.os == "windows" {
			a.Binary += ".exe"
			a.Completion += ".cmd"
			pack, suffix = packZip, ".zip"
		}
		a.File = plugin + "_" + r.version + "_" + p.os + "_" + p.arch + suffix
		packed, err := r.packPlugin(p, a, pack)
		if err != nil {
			return fmt.Errorf("packing %s: %w", a.File, err)
		}
		a.SHA256 = fmt.Sprintf("%x", sha256.Sum256(packed))
		if err := r.writeFile(a.File, packed); err != nil {
			return err
		}
		archives = append(archives, a)
	}
	var manifest strings.Builder
	if err := krew.Execute(&manifest, map[string]any{"Version": r.version, "Project": project, "Archives": archives}); err != nil {
		return fmt.Errorf("writing the manifest for krew: %w", err)
	}
	return r.writeFile("krew/apptier.yaml", []byte(manifest.String()))
}

func (r *release) packPlugin(p program, a archive, pack func([]entry, time.Time) ([]byte, error)) ([]byte, error) {
	var entries []entry
	for _, file := range []struct {
		as, from string
		mode     int64
	}{
		{a.Binary, r.programs[p], 0o755},
		{a.Completion, filepath.Join(r.root, "hack", a.Completion), 0o755},
		{"LICENSE", filepath.Join(r.root, "LICENSE"), 0o644},
	} {
		content, err := os.ReadFile(file.from)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{file.as, file.mode, content})
	}
	return pack(entries, r.time)
}

// krew has no package that writes its manifests: https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/.
var krew = template.Must(template.New("krew").Parse(`apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: apptier
spec:
  version: {{ .Version }}
  homepage: {{ .Project }}
  shortDescription: Check, draw and explain who may talk to whom
  description: |
    Renders the NetworkPolicies that AppTiers stand for, checks AppTiers and
    NetworkPolicies, says whether a connection may pass and which rule decides,
    draws who may reach whom, and tells which connections a change opens and
    closes: for manifests, without a cluster, and for a cluster.
  caveats: |
    For the shell to complete words after "kubectl apptier", link
    kubectl_complete-apptier of the plugin's folder into a folder of PATH.
  platforms:
{{- range .Archives }}
  - selector:
      matchLabels:
        os: {{ .OS }}
        arch: {{ .Arch }}
    uri: {{ $.Project }}/releases/download/{{ $.Version }}/{{ .File }}
    sha256: {{ .SHA256 }}
    bin: {{ .Binary }}
{{- end }}
`))
