// Package schemas tests the JSON Schemas that editors check manifests by.
package schemas

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

const root = "../.."

var modeline = regexp.MustCompile(`^# yaml-language-server: \$schema=(\S+)\n`)

// Every AppTier of the samples begins with where its schema is, and is as that says.
func TestSamplesAreValid(t *testing.T) {
	files, err := filepath.Glob(root + "/config/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(root + "/config/samples/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		appTiers := documents(t, string(text), "AppTier")
		if len(appTiers) == 0 {
			continue
		}
		named := modeline.FindStringSubmatch(string(text))
		if named == nil || filepath.Base(named[1]) != "apptier-v1alpha1.json" {
			t.Errorf("%s does not begin with where its schema is", file)
			continue
		}
		schema, err := jsonschema.NewCompiler().Compile(filepath.Join(filepath.Dir(file), named[1]))
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range appTiers {
			if err := schema.Validate(document); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			tried++
		}
	}
	if tried < 20 {
		t.Errorf("only %d AppTiers are tried", tried)
	}
}

// What an editor should underline.
func TestWhatIsWrongIsFound(t *testing.T) {
	const valid = `
apiVersion: policy.apptier.dev/v1alpha1
kind: AppTier
metadata: {name: shop, labels: {a: b}}
spec:
  tiers:
  - name: web
    podSelector: {matchLabels: {tier: web}}
    ports:
    - {name: http, port: 8080}
    ingress:
    - from:
      - everyone: {}
      ports:
      - port: http
`
	const staged = `
apiVersion: policy.apptier.dev/v1alpha1
kind: StagedNetworkPolicy
metadata: {name: web}
spec:
  podSelector: {}
  ingress:
  - from: [{ipBlock: {cidr: 10.0.0.0/8}}]
    ports: [{port: 80}, {port: http}]
`
	for _, test := range []struct{ schema, text, old, new string }{
		{"apptier", valid, "", ""},
		{"apptier", valid, "podSelector", "podselector"},
		{"apptier", valid, "kind: AppTier", "kind: AppTeer"},
		{"apptier", valid, "v1alpha1", "v1"},
		{"apptier", valid, "everyone: {}", "everybody: {}"},
		{"apptier", valid, "port: 8080", "port: 80800"},
		{"apptier", valid, "metadata: {name: shop, labels: {a: b}}\n", ""},
		{"apptier", valid, "spec:", "spec:\n  mode: Enforced"},
		{"stagednetworkpolicy", staged, "", ""},
		{"stagednetworkpolicy", staged, "cidr", "cdir"},
		{"stagednetworkpolicy", staged, "port: 80", "port: [80]"},
	} {
		schema, err := jsonschema.NewCompiler().Compile(filepath.Join(root, "schemas", test.schema+"-v1alpha1.json"))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(test.text, test.old, test.new, 1)
		if (text == test.text) != (test.old == "") {
			t.Fatalf("%q is not there", test.old)
		}
		for _, document := range documents(t, text, "") {
			if err := schema.Validate(document); (err == nil) != (test.old == "") {
				t.Errorf("%q for %q: %v", test.new, test.old, err)
			}
		}
	}
}

// documents are those of a kind, or all.
func documents(t *testing.T, text, kind string) []any {
	t.Helper()
	var out []any
	for document := range strings.SplitSeq(text, "\n---\n") {
		asJSON, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		o, err := jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON)))
		if err != nil {
			t.Fatal(err)
		}
		if object, isObject := o.(map[string]any); isObject && (kind == "" || object["kind"] == kind) {
			out = append(out, o)
		}
	}
	return out
}
