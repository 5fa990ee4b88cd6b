package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The record is one that players read: what it is, and output in the order of time; and it shows what the page does.
func TestTour(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the plugin")
	}
	t.Chdir("..") // where make runs it
	file := filepath.Join(t.TempDir(), "bin", "tour.cast")
	if err := run(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	var header struct{ Version, Width, Height int }
	if err := json.Unmarshal([]byte(first), &header); err != nil || header.Version != 2 || header.Width != width || header.Height != height {
		t.Errorf("%v: %s", err, first)
	}
	var shown strings.Builder
	last := 0.0
	for line := range strings.Lines(rest) {
		var event []any
		if err := json.Unmarshal([]byte(line), &event); err != nil || len(event) != 3 || event[1] != "o" {
			t.Fatalf("%v: %s", err, line)
		}
		at, isNumber := event[0].(float64)
		said, isText := event[2].(string)
		if !isNumber || !isText || at < last {
			t.Fatalf("at %v after %v: %s", event[0], last, line)
		}
		last = at
		shown.WriteString(said)
	}
	for _, want := range []string{"# Make a mistake", "did you mean frontend?", "to allow it, add to tier database", "2 cases: 2 passed"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("the tour does not show %q", want)
		}
	}
	if last < 20 || last > 180 {
		t.Errorf("the tour takes %.0f seconds", last)
	}
}
