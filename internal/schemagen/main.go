// Command schemagen writes schemas/ from the CRDs in config/crd/bases: JSON Schemas of our kinds, for editors and whatever
// else checks manifests without a cluster. It runs at the top of the repository.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

const (
	source = "config/crd/bases"
	target = "schemas"
	// address is where a schema is on the web, by which manifests refer to it.
	address = "https://raw.githubusercontent.com/apptier/apptier/main/schemas/"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

// definition is what is needed of a CRD.
type definition struct {
	Spec struct {
		Group    string
		Names    struct{ Kind string }
		Versions []struct {
			Name   string
			Schema struct{ OpenAPIV3Schema map[string]any }
		}
	}
}

func run(repository string) error {
	files, err := filepath.Glob(filepath.Join(repository, source, "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("looking for CRDs in %s: found %d: %w", source, len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading a CRD: %w", err)
		}
		var crd definition
		if err := yaml.Unmarshal(text, &crd); err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		for _, version := range crd.Spec.Versions {
			name := strings.ToLower(crd.Spec.Names.Kind) + "-" + version.Name + ".json"
			schema := schemaOf(version.Schema.OpenAPIV3Schema, crd.Spec.Group+"/"+version.Name, crd.Spec.Names.Kind)
			schema["$id"] = address + name
			text, err := json.MarshalIndent(schema, "", "  ")
			if err != nil {
				return fmt.Errorf("writing the schema of %s: %w", crd.Spec.Names.Kind, err)
			}
			if err := os.WriteFile(filepath.Join(repository, target, name), append(text, '\n'), 0o600); err != nil {
				return fmt.Errorf("writing a schema: %w", err)
			}
		}
	}
	return nil
}

// schemaOf makes a JSON Schema of a CRD's. Draft 7 is what editors know best.
func schemaOf(crd map[string]any, apiVersion, kind string) map[string]any {
	schema := closed(crd).(map[string]any)
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["title"] = kind
	properties := schema["properties"].(map[string]any)
	properties["apiVersion"].(map[string]any)["const"] = apiVersion
	properties["kind"].(map[string]any)["const"] = kind
	schema["required"] = []any{"apiVersion", "kind", "metadata", "spec"}
	return schema
}

// closed is a schema without what the API server alone understands, that refuses fields which there are not, as the API
// server does for whoever asks it to be strict.
func closed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			if !strings.HasPrefix(key, "x-kubernetes-") {
				out[key] = closed(value)
			}
		}
		_, hasProperties := v["properties"].(map[string]any)
		if hasProperties && v["type"] == "object" && v["x-kubernetes-preserve-unknown-fields"] != true {
			out["additionalProperties"] = false
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = closed(v[i])
		}
		return out
	default:
		return v
	}
}
