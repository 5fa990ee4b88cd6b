package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"os"
	"strings"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"
)

// writeSBOMs writes for each program which modules are in it, as its own build information says: what is in go.mod and not
// linked is not listed. Images and archives hold nothing else than the program that has their name.
func (r *release) writeSBOMs() error {
	for _, p := range r.all() {
		document, err := r.sbom(p)
		if err != nil {
			return fmt.Errorf("listing what is in %s: %w", p, err)
		}
		var out bytes.Buffer
		if err := spdxjson.Write(document, &out, spdxjson.Indent("  ")); err != nil {
			return fmt.Errorf("listing what is in %s: %w", p, err)
		}
		if err := r.writeFile("sbom/"+p.String()+".spdx.json", out.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) sbom(p program) (*spdx.Document, error) {
	content, err := os.ReadFile(r.programs[p])
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	document := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: p.String() + " " + r.version,
		// One name for one content.
		DocumentNamespace: project + "/releases/" + r.version + "/" + p.String() + "-" + sum,
		CreationInfo: &spdx.CreationInfo{
			Created:  r.time.Format("2006-01-02T15:04:05Z"),
			Creators: []spdx.Creator{{CreatorType: "Organization", Creator: "apptier"}, {CreatorType: "Tool", Creator: "apptier-release"}},
		},
	}
	program := module(info.Main.Path, r.version)
	program.PackageSPDXIdentifier = "Program"
	program.PackageName = p.name
	program.PrimaryPackagePurpose = "APPLICATION"
	program.PackageLicenseDeclared = license
	program.PackageChecksums = []spdx.Checksum{{Algorithm: spdx.SHA256, Value: sum}}
	document.Packages = []*spdx.Package{program}
	document.Relationships = []*spdx.Relationship{related("DOCUMENT", common.TypeRelationshipDescribe, "Program")}
	add := func(m *spdx.Package) {
		document.Packages = append(document.Packages, m)
		document.Relationships = append(document.Relationships, related("Program", common.TypeRelationshipContains, m.PackageSPDXIdentifier))
	}
	add(module("stdlib", strings.TrimPrefix(info.GoVersion, "go")))
	for _, dependency := range info.Deps {
		if dependency.Replace != nil {
			dependency = dependency.Replace
		}
		add(module(dependency.Path, dependency.Version))
	}
	return document, nil
}

// module is a Go module as a package, which databases of vulnerabilities know by its purl:
// https://github.com/package-url/purl-spec/blob/main/types-doc/golang-definition.md.
func module(path, version string) *spdx.Package {
	const nothing = "NOASSERTION"
	p := &spdx.Package{
		PackageSPDXIdentifier: common.ElementID("Module-" + identifier(path+"-"+version)),
		PackageName:           path, PackageVersion: version, PackageDownloadLocation: nothing,
		PackageLicenseConcluded: nothing, PackageLicenseDeclared: nothing, PackageCopyrightText: nothing,
		PackageExternalReferences: []*spdx.PackageExternalReference{{
			Category: spdx.CategoryPackageManager, RefType: spdx.PackageManagerPURL,
			Locator: "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B"),
		}},
	}
	if path != "stdlib" {
		p.PackageDownloadLocation = "https://proxy.golang.org/" + escaped(path) + "/@v/" + escaped(version) + ".zip"
	}
	return p
}

// identifier has letters, digits, dots and dashes alone.
func identifier(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' {
			return c
		}
		return '-'
	}, text)
}

// escaped is how the module proxy writes capital letters: https://go.dev/ref/mod#goproxy-protocol.
func escaped(text string) string {
	var out strings.Builder
	for _, c := range text {
		if c >= 'A' && c <= 'Z' {
			out.WriteByte('!')
			c += 'a' - 'A'
		}
		out.WriteRune(c)
	}
	return out.String()
}

func related(a common.ElementID, how string, b common.ElementID) *spdx.Relationship {
	return &spdx.Relationship{RefA: common.DocElementID{ElementRefID: a}, Relationship: how, RefB: common.DocElementID{ElementRefID: b}}
}
