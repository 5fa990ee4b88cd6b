package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the API server alone understands goes, and objects whose fields are known have no others.
func TestClosed(t *testing.T) {
	given := map[string]any{
		"type": "object", "x-kubernetes-validations": []any{"self.a"},
		"properties": map[string]any{
			"labels": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}},
			"port": map[string]any{"anyOf": []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}},
				"x-kubernetes-int-or-string": true},
			"raw":  map[string]any{"type": "object", "properties": map[string]any{}, "x-kubernetes-preserve-unknown-fields": true},
			"list": map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": map[string]any{}}},
		},
	}
	want := map[string]any{
		"type": "object", "additionalProperties": false,
		"properties": map[string]any{
			"labels": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}},
			"port":   map[string]any{"anyOf": []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}}},
			"raw":    map[string]any{"type": "object", "properties": map[string]any{}},
			"list": map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": map[string]any{},
				"additionalProperties": false}},
		},
	}
	if diff := cmp.Diff(want, closed(given)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
