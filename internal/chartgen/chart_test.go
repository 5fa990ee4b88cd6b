package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// The chart's templates are those that config/ asks for: "make generate" writes them.
func TestTemplatesAreCurrent(t *testing.T) {
	want, err := templatesOf(repository)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	files, err := os.ReadDir(filepath.Join(repository, generated))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		got[file.Name()] = string(readFile(t, filepath.Join(repository, generated, file.Name())))
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("make generate changes the chart (- new, + now):\n%s", difference)
	}
}

func TestLint(t *testing.T) {
	if stdout, stderr, err := helm(t, "lint", "--strict", chart); err != nil {
		t.Errorf("%v\n%s%s", err, stdout, stderr)
	}
}

// What is misspelt, or of another type, is refused, and the message names it.
func TestSchemaRefuses(t *testing.T) {
	schema := compile(t)
	for path, value := range map[string]any{
		"enforcr":                           true,
		"enforcer.enable":                   true,
		"enforcer.enabled":                  "false",
		"enforcer.image":                    "apptier/enforcer:v1",
		"enforcer.nri":                      nil,
		"manager.image.digest":              "e3b0c442",
		"manager.image.repository":          "",
		"manager.image.tag":                 "a tag",
		"manager.replicas":                  0,
		"manager.resources.limit":           map[string]any{"memory": "1Gi"},
		"manager.resources.limits":          map[string]any{"memory": "1 GB"},
		"manager.goMemLimit":                "220Mi",
		"manager.tolerations":               []any{map[string]any{"key": "a", "operator": "exists"}},
		"manager.nodeSelector":              map[string]any{"gpu": true},
		"manager.extraArgs":                 []any{"leader-elect"},
		"webhook.strict":                    "yes",
		"webhook.cert-manager":              true,
		"monitors.labels":                   []any{"release"},
		"crds.install":                      true,
		"imagePullPolicy":                   "ifNotPresent",
		"imagePullSecrets":                  []any{"registry"},
		"imageRegistry":                     "https://registry.example.com",
		"enforcer.tolerations":              map[string]any{"operator": "Exists"},
		"enforcer.resources.requests.claim": map[string]any{},
	} {
		t.Run(path, func(t *testing.T) {
			values := defaults(t)
			set(values, path, value)
			err := schema.Validate(values)
			if err == nil {
				t.Fatalf("%s: %v is taken", path, value)
			}
			last := path[strings.LastIndex(path, ".")+1:]
			if !strings.Contains(err.Error(), last) {
				t.Errorf("it does not name %q: %v", last, err)
			}
		})
	}
}

// The schema knows what values.yaml has, and nothing else.
func TestSchemaIsOfTheValues(t *testing.T) {
	values := defaults(t)
	if err := compile(t).Validate(values); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	var schema map[string]any
	if err := yaml.Unmarshal(readFile(t, chart+"/values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	var same func(at string, values, schema map[string]any)
	same = func(at string, values, schema map[string]any) {
		properties, ok := schema["properties"].(map[string]any)
		if !ok {
			return
		}
		delete(properties, "global")
		if got, want := slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(values)); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, values.yaml %v", at, got, want)
		}
		for field, property := range properties {
			if inner, ok := values[field].(map[string]any); ok {
				same(at+"."+field, inner, property.(map[string]any))
			}
		}
	}
	same("", values, schema)
}

// Helm reads the schema as the tests above do.
func TestHelmRefuses(t *testing.T) {
	_, stderr, err := helm(t, "template", "apptier", chart, "--set", "enforcer.enable=false")
	if err == nil || !strings.Contains(stderr, "enable") {
		t.Errorf("a value that does not exist: %v, %s", err, stderr)
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
