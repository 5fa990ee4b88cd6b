package cli_test

import "testing"

// Maps of the same manifests, in all forms, are in testdata/golden.
func TestMaps(t *testing.T) {
	for _, test := range []struct {
		name, args string
		code       int
	}{
		{"map", "", 0},
		{"map-matrix", "-o matrix", 0},
		{"map-matrix-narrow", "-o matrix --width 58", 0},
		{"map-matrix-too-narrow", "-o matrix --width 40", 2},
		{"map-matrix-focus", "-o matrix --width 40 --focus database", 0},
		{"map-around", "--focus database --around 2", 0},
		{"map-around-nobody", "--around 2", 2},
		{"map-bad-around", "--focus database --around 0", 2},
		{"map-denied", "--denied", 0},
		{"map-denied-md", "--denied -o md --focus database", 0},
		{"map-denied-json", "--denied -o json --focus grafana", 0},
		{"map-denied-picture", "--denied -o mermaid", 2},
		{"map-mermaid", "-o mermaid", 0},
		{"map-dot", "-o dot", 0},
		{"map-svg", "-o svg", 0},
		{"map-group", "--group always", 0},
		{"map-group-matrix", "--group always -o matrix", 0},
		{"map-bad-group", "--group some", 2},
		{"map-bad-width", "-o matrix --width -2", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantOutput(t, test.name, "map"+input("map.yaml")+" "+test.args, test.code)
		})
	}
}
