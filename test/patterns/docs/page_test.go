package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apptier/apptier/test/patterns"
)

const root = "../../.."

func current(t *testing.T) string {
	t.Helper()
	all, err := patterns.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	text, err := page(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPageIsCurrent(t *testing.T) {
	want, err := os.ReadFile(root + "/" + output)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), current(t)); diff != "" {
		t.Errorf("%s is stale, run make generate (-file +current):\n%s", output, diff)
	}
}

// Every link of the table of contents leads to a heading.
func TestContentsLeadSomewhere(t *testing.T) {
	page := current(t)
	headings := map[string]bool{}
	for line := range strings.Lines(page) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			headings[anchor(heading)] = true
		}
	}
	if links := strings.Count(page, "](#"); links != len(headings) {
		t.Errorf("%d links, %d headings with anchors of their own", links, len(headings))
	}
}
