package cli_test

import (
	"strings"
	"testing"
)

// What follows each other in a text is read to its end, or refused: nothing is left out silently.
func TestWhatFollowsADocumentIsRead(t *testing.T) {
	one := func(name string) string {
		return `{"apiVersion": "policy.apptier.dev/v1alpha1", "kind": "AppTier", "metadata": {"name": "` + name + `"}, "spec": {"tiers": [{"name": "web", "podSelector": {}}]}}`
	}
	both := []string{"AppTier default/first: spec.tiers", "AppTier default/last: spec.tiers"}
	for _, test := range []struct {
		name, input string
		code        int
		want        []string
	}{
		{"values on lines", one("first") + "\n" + one("last") + "\n", 1, append(both, "standard input:2 (document 2)")},
		{"values without space", one("first") + one("last"), 1, append(both, "standard input:1 (document 2)")},
		{"values after comments", "# two\n" + one("first") + "\n# more\n" + one("last"), 1, append(both, "standard input:4 (document 2)")},
		{"a document after values", one("first") + "\n" + one("middle") + "\n---\n" + tierless("last"), 1, append(both, "standard input:10 (document 3)")},
		{"values indented with tabs", strings.ReplaceAll(one("first"), ": ", ":\n\t\t") + one("last"), 1, both},
		{"escapes that YAML has not", strings.Replace(one("first"), `"spec"`, `"status": {}, "spec"`, 1) + strings.Replace(one("last"), `{"name": "last"}`, `{"name": "last", "annotations": {"a": "\ud83d\ude00\/"}}`, 1), 1, both},
		{"a value that is cut off", one("first") + "\n{\"apiVersion\": ", 1, []string{"AppTier default/first: spec.tiers", "(document 2): error: not valid YAML: line 2"}},
		{"keys given twice", one("first") + `{"kind": "Pod", "kind": "Pod"}`, 1, []string{`(document 2): error: not valid JSON: duplicate field "kind"`}},
		{"words after a value", one("first") + "\nand more", 1, []string{"standard input:2 (document 2): error: not a Kubernetes object"}},
		{"flow style twice", "{apiVersion: v1, kind: Namespace}\n{apiVersion: v1, kind: Namespace}\n", 1, []string{"standard input:1 (document 1): error: more follows the document"}},
		{"a byte-order mark at each document", "\ufeff" + tierless("first") + "\n---\n\ufeff" + tierless("last"), 1, both},
		{"a byte-order mark at a marker", "\ufeff" + tierless("first") + "\n\ufeff---\n" + tierless("last"), 1, both},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, code := run(t, test.input, "lint", "-f", "-")
			if code != test.code {
				t.Errorf("exits with %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("does not say %s:\n%s%s", want, stdout, stderr)
				}
			}
		})
	}
}
