package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

const sums = "SHA256SUMS"

// writeProvenance says which source all files and images were made of, and how: an in-toto statement with SLSA's
// predicate (https://slsa.dev/spec/v1.1/provenance). It is worth what the signature on it is worth.
func (r *release) writeProvenance() error {
	subjects, err := r.subjects()
	if err != nil {
		return err
	}
	parameters, err := structpb.NewStruct(map[string]any{"version": r.version, "registry": r.registry})
	if err != nil {
		return fmt.Errorf("writing the provenance: %w", err)
	}
	predicate := &slsa.Provenance{
		BuildDefinition: &slsa.BuildDefinition{
			BuildType: project + "/tree/" + r.version + "/hack/release", ExternalParameters: parameters,
			ResolvedDependencies: []*intoto.ResourceDescriptor{
				{Uri: "git+" + project + "@refs/tags/" + r.version, Digest: map[string]string{"gitCommit": r.commit}},
				{Name: "go", Uri: "pkg:generic/go@" + strings.TrimPrefix(runtime.Version(), "go")},
			},
		},
		RunDetails: &slsa.RunDetails{Builder: &slsa.Builder{Id: project + "/blob/" + r.version + "/Makefile#release"}},
	}
	fields, err := asStruct(predicate)
	if err != nil {
		return fmt.Errorf("writing the provenance: %w", err)
	}
	statement := &intoto.Statement{
		Type: intoto.StatementTypeUri, Subject: subjects, PredicateType: "https://slsa.dev/provenance/v1", Predicate: fields,
	}
	if err := statement.Validate(); err != nil {
		return fmt.Errorf("writing the provenance: %w", err)
	}
	text, err := stable(statement)
	if err != nil {
		return fmt.Errorf("writing the provenance: %w", err)
	}
	return r.writeFile("provenance.intoto.json", text)
}

// subjects are all files until now, and the images by what they are pulled by.
func (r *release) subjects() ([]*intoto.ResourceDescriptor, error) {
	files, err := r.sums()
	if err != nil {
		return nil, err
	}
	var subjects []*intoto.ResourceDescriptor
	for _, file := range files {
		if !strings.HasPrefix(file.name, "images/") {
			subjects = append(subjects, &intoto.ResourceDescriptor{Name: file.name, Digest: map[string]string{"sha256": file.sum}})
		}
	}
	for _, name := range imageNames {
		subjects = append(subjects, &intoto.ResourceDescriptor{
			Name: r.registry + "/" + name, Digest: map[string]string{"sha256": r.images[name].Hex},
		})
	}
	return subjects, nil
}

func asStruct(message proto.Message) (*structpb.Struct, error) {
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil, err
	}
	fields := &structpb.Struct{}
	return fields, protojson.Unmarshal(text, fields)
}

// stable writes a message with its spaces always the same, which protojson avoids on purpose.
func stable(message proto.Message) ([]byte, error) {
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// summed is a file of the release and its SHA-256.
type summed struct{ name, sum string }

// sums are those of all files, by their names.
func (r *release) sums() ([]summed, error) {
	var found []summed
	out := os.DirFS(r.out)
	err := fs.WalkDir(out, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(out, name)
		found = append(found, summed{name, fmt.Sprintf("%x", sha256.Sum256(content))})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("summing up the files: %w", err)
	}
	slices.SortFunc(found, func(a, b summed) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

// writeSums writes what "sha256sum --check" reads, and what is signed.
func (r *release) writeSums() error {
	files, err := r.sums()
	if err != nil {
		return err
	}
	var out strings.Builder
	for _, file := range files {
		fmt.Fprintf(&out, "%s  %s\n", file.sum, file.name)
	}
	return r.writeFile(sums, []byte(out.String()))
}
