package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scripted runs a script with a stand-in for a program that needs the outside, and returns what that was asked for. In what is
// asked, the folder of the release is called dist, and any other file by its content.
func scripted(t *testing.T, script, program string, files map[string]string, env ...string) (asked string, err error) {
	t.Helper()
	out, programs := filepath.Join(t.TempDir(), "dist"), t.TempDir()
	for name, text := range files {
		path := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	calls := filepath.Join(t.TempDir(), "calls")
	standIn := "#!/bin/sh\nfor a; do case $a in /*/dist/*) ;; /*) a=$(cat \"$a\") ;; esac; printf '%s ' \"$a\"; done >>\"$CALLS\"; echo >>\"$CALLS\"\n"
	if err := os.WriteFile(filepath.Join(programs, program), []byte(standIn), 0o700); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "hack/release/"+script)
	command.Dir = repository
	command.Env = append(os.Environ(), append(env, "OUT="+out, "CALLS="+calls, "PATH="+programs+":"+os.Getenv("PATH"))...)
	if text, err := command.CombinedOutput(); err != nil {
		return string(text), err
	}
	text, err := os.ReadFile(calls)
	return strings.ReplaceAll(string(text), out, "dist"), err
}

// Each image is signed by the digest that the manifest installs.
func TestSign(t *testing.T) {
	files := map[string]string{
		"provenance.intoto.json": `{"predicate": 1}`,
		"install.yaml": "        image: r.example.com/a/enforcer:v1@sha256:22\n        image: r.example.com/a/enforcer:v1@sha256:22\n" +
			"      - image: r.example.com/a/manager:v1@sha256:11\n",
	}
	asked, err := scripted(t, "sign.sh", "cosign", files, "REGISTRY=r.example.com/a")
	if err != nil {
		t.Fatalf("%v: %s", err, asked)
	}
	want := `sign-blob --yes --bundle dist/SHA256SUMS.sigstore.json dist/SHA256SUMS 
sign --yes r.example.com/a/manager@sha256:11 
attest --yes --type slsaprovenance1 --predicate 1 r.example.com/a/manager@sha256:11 
attest --yes --type spdxjson --predicate dist/sbom/manager_linux_amd64.spdx.json r.example.com/a/manager@sha256:11 
sign --yes r.example.com/a/enforcer@sha256:22 
attest --yes --type slsaprovenance1 --predicate 1 r.example.com/a/enforcer@sha256:22 
attest --yes --type spdxjson --predicate dist/sbom/enforcer_linux_amd64.spdx.json r.example.com/a/enforcer@sha256:22 
`
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
	if said, err := scripted(t, "sign.sh", "cosign", files, "REGISTRY=other.example.com"); err == nil {
		t.Errorf("images that are not in the manifest are signed: %s", said)
	}
}

// A release has what the changelog says of it, and every file but the images.
func TestPublish(t *testing.T) {
	files := map[string]string{"install.yaml": "", "sbom/manager.json": "", "images/manager/index.json": ""}
	asked, err := scripted(t, "publish.sh", "gh", files, "VERSION=v0.1.0")
	if err != nil {
		t.Fatalf("%v: %s", err, asked)
	}
	if !strings.HasPrefix(asked, "release create v0.1.0 --verify-tag --title v0.1.0 --notes-file \n### Added\n") ||
		!strings.HasSuffix(asked, " dist/install.yaml dist/sbom/manager.json \n") || strings.Contains(asked, "[0.1.0]") {
		t.Error(asked)
	}
	if said, err := scripted(t, "publish.sh", "gh", files, "VERSION=v9.9.9"); err == nil {
		t.Errorf("a version of which the changelog says nothing is published: %s", said)
	}
}
