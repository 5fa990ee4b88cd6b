package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each thing that may fail has a page of what to do, which ends in commands; and each page is in the index.
func TestRunbooks(t *testing.T) {
	fails := map[string]bool{}
	for _, row := range read(t, root+"/docs/operations.md").rows {
		fails[row[0]] = true
	}
	indexed := map[string]bool{}
	index := read(t, root+"/docs/runbooks/README.md")
	for _, row := range index.rows {
		if !fails[row[0]] {
			t.Errorf("operations.md has no row %q", row[0])
		}
		delete(fails, row[0])
		indexed[row[1]] = true
	}
	for what := range fails {
		t.Errorf("no runbook for %q", what)
	}
	files, err := filepath.Glob(root + "/docs/runbooks/*.md")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if filepath.Base(file) == "README.md" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !indexed[filepath.Base(file)] {
			t.Errorf("%s is not in the index", file)
		}
		_, commands, found := strings.Cut(string(text), "```sh\n")
		if !found || !strings.HasSuffix(commands, "\n```\n") {
			t.Errorf("%s does not end in commands", file)
		}
	}
}
