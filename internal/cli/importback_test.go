package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// generatedLabels are those by which a policy is known as an AppTier's.
var generatedLabels = regexp.MustCompile(`(?m)^  labels:\n(    .*\n)+`)

// The policies that the patterns stand for become AppTiers that allow the same, and are as long as what people wrote,
// but for a mesh, of which policies know no name.
func TestPatternsComeBack(t *testing.T) {
	files, err := filepath.Glob("../../config/samples/patterns/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no patterns: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			rendered, _, code := run(t, "", "render", "-f", file)
			if code != 0 {
				t.Fatalf("render exits with %d", code)
			}
			stdout, stderr, code := run(t, generatedLabels.ReplaceAllString(rendered, ""), "import", "-")
			if code != 0 || !strings.Contains(stderr, "no connection is opened or closed") || strings.Contains(stderr, "stays") {
				t.Errorf("exits with %d:\n%s", code, stderr)
			}
			written, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			was, is := countLines(string(written)), countLines(stdout)
			if is > was && !strings.Contains(file, "mesh") {
				t.Errorf("%d lines become %d:\n%s", was, is, stdout)
			}
		})
	}
}

// countLines counts the lines that say something.
func countLines(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && line != "---" {
			n++
		}
	}
	return n
}
