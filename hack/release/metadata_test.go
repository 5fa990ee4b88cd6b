package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
	"google.golang.org/protobuf/encoding/protojson"
)

// The list of what is in a program is valid, and has its modules.
func TestSBOM(t *testing.T) {
	for _, p := range chosen().all() {
		t.Run(p.String(), func(t *testing.T) {
			document, err := spdxjson.Read(bytes.NewReader(read(t, made(t, "sbom", p.String()+".spdx.json"))))
			if err != nil {
				t.Fatal(err)
			}
			if err := spdxlib.ValidateDocument(document); err != nil {
				t.Error(err)
			}
			described, err := spdxlib.GetDescribedPackageIDs(document)
			if err != nil || len(described) != 1 || described[0] != "Program" {
				t.Errorf("it is about %v: %v", described, err)
			}
			if program := document.Packages[0]; program.PackageName != p.name || program.PackageVersion != testVersion {
				t.Errorf("it is about %s %s", program.PackageName, program.PackageVersion)
			}
			var names []string
			for _, m := range document.Packages {
				names = append(names, m.PackageName)
			}
			for _, want := range []string{"stdlib", "k8s.io/client-go", "golang.org/x/sys"} {
				if !slices.Contains(names, want) {
					t.Errorf("no %s in %q", want, names)
				}
			}
			if got := slices.Sorted(slices.Values(names)); len(got) != len(slices.Compact(got)) {
				t.Errorf("something is there twice: %q", got)
			}
		})
	}
}

// The sum in the list is that of the program in the archive.
func TestSBOMIsOfTheProgram(t *testing.T) {
	dir := t.TempDir()
	unpack(t, made(t, plugin+"_"+testVersion+"_linux_"+runtime.GOARCH+".tar.gz"), dir)
	out, err := exec.CommandContext(t.Context(), "sha256sum", filepath.Join(dir, plugin)).Output()
	if err != nil {
		t.Fatal(err)
	}
	list := string(read(t, made(t, "sbom", plugin+"_linux_"+runtime.GOARCH+".spdx.json")))
	if sum, _, _ := strings.Cut(string(out), " "); !strings.Contains(list, sum) {
		t.Errorf("no %s in the list", sum)
	}
	info, err := buildinfo.ReadFile(filepath.Join(dir, plugin))
	if err != nil {
		t.Fatal(err)
	}
	for _, dependency := range info.Deps {
		want := "pkg:golang/" + strings.ToLower(dependency.Path) + "@" + strings.ReplaceAll(dependency.Version, "+", "%2B")
		if !strings.Contains(list, want) {
			t.Errorf("no %s in the list", want)
		}
	}
}

// The provenance names the commit, and every file by its sum; so it can be verified like any other.
func TestProvenance(t *testing.T) {
	text := read(t, made(t, "provenance.intoto.json"))
	var statement intoto.Statement
	if err := protojson.Unmarshal(text, &statement); err != nil {
		t.Fatal(err)
	}
	if err := statement.Validate(); err != nil {
		t.Error(err)
	}
	predicate, err := json.Marshal(statement.GetPredicate())
	if err != nil {
		t.Fatal(err)
	}
	var provenance slsa.Provenance
	if err := protojson.Unmarshal(predicate, &provenance); err != nil {
		t.Fatalf("the predicate is not SLSA's: %v", err)
	}
	if err := provenance.Validate(); err != nil {
		t.Error(err)
	}
	commit, err := exec.CommandContext(t.Context(), "git", "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := provenance.GetBuildDefinition().GetResolvedDependencies()[0].GetDigest()["gitCommit"]; got != strings.TrimSpace(string(commit)) {
		t.Errorf("it names commit %q", got)
	}
	for _, subject := range statement.GetSubject() {
		if sum := subject.GetDigest()["sha256"]; !strings.HasPrefix(subject.GetName(), registry) &&
			!strings.Contains(string(read(t, made(t, sums))), sum+"  "+subject.GetName()+"\n") {
			t.Errorf("%s has another sum than %s", subject.GetName(), sum)
		}
	}
	for line := range strings.Lines(string(read(t, made(t, sums)))) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		known := slices.ContainsFunc(statement.GetSubject(), func(s *intoto.ResourceDescriptor) bool { return s.GetName() == name })
		if !known && !strings.HasPrefix(name, "images/") && name != "provenance.intoto.json" {
			t.Errorf("nothing is said of %s", name)
		}
	}
}
