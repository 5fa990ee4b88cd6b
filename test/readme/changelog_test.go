package readme

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/version"
)

// https://keepachangelog.com/en/1.1.0/
var (
	released = regexp.MustCompile(`^## \[(\d+\.\d+\.\d+\S*)\] - (\d{4}-\d{2}-\d{2})$`)
	kinds    = []string{"### Added", "### Changed", "### Deprecated", "### Removed", "### Fixed", "### Security"}
)

// The changelog has the headings of Keep a Changelog: what is not released yet, then each version with its day, the latest
// first; below them kinds of changes, each with a list. Each version is a link.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile(root + "/CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings, versions, days []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch match := released.FindStringSubmatch(line); {
		case match != nil:
			versions, days = append(versions, match[1]), append(days, match[2])
			if !strings.Contains(string(text), "\n["+match[1]+"]: https://") {
				t.Errorf("%s is no link", match[1])
			}
		case strings.HasPrefix(line, "### ") && !slices.Contains(kinds, line), strings.HasPrefix(line, "## ") && line != "## [Unreleased]":
			t.Errorf("%q is no heading of Keep a Changelog", line)
		}
		if strings.HasPrefix(line, "#") {
			headings = append(headings, line)
		}
	}
	if len(headings) < 3 || headings[0] != "# Changelog" || headings[1] != "## [Unreleased]" {
		t.Errorf("it does not begin with what is unreleased: %q", headings)
	}
	if len(versions) == 0 {
		t.Error("no version is there")
	}
	for i := range versions {
		if _, err := version.ParseSemantic(versions[i]); err != nil {
			t.Errorf("%s: %v", versions[i], err)
		}
		if i > 0 && (!version.MustParseSemantic(versions[i]).LessThan(version.MustParseSemantic(versions[i-1])) || days[i] > days[i-1]) {
			t.Errorf("%s is below %s", versions[i], versions[i-1])
		}
	}
}

// A kind of changes without a change says nothing.
func TestChangelogHasChanges(t *testing.T) {
	text, err := os.ReadFile(root + "/CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range regexp.MustCompile(`(?m)^### `).Split(string(text), -1)[1:] {
		kind, changes, _ := strings.Cut(part, "\n")
		if !strings.HasPrefix(strings.TrimSpace(changes), "- ") {
			t.Errorf("no list below %q", kind)
		}
	}
}
