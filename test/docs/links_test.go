package docs

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every link that stays in the repository leads to a file that is there, and to a heading that it has.
func TestLinks(t *testing.T) {
	all := pages(t)
	for _, p := range all {
		for _, link := range p.links {
			if wrong := follow(all, p, link); wrong != "" {
				t.Errorf("%s: %s: %s", p.path, link, wrong)
			}
		}
	}
}

func follow(all map[string]page, from page, link string) (wrong string) {
	target, err := url.Parse(link)
	if err != nil {
		return err.Error()
	}
	if target.IsAbs() {
		return ""
	}
	path := from.path
	if target.Path != "" {
		path = filepath.Join(filepath.Dir(from.path), target.Path)
	}
	if outside, err := filepath.Rel(root, path); err != nil || strings.HasPrefix(outside, "..") {
		return "leads out of the repository"
	}
	if _, err := os.Stat(path); err != nil {
		return "no such file"
	}
	to, isPage := all[path]
	if target.Fragment != "" && (!isPage || !to.anchors[target.Fragment]) {
		return "no such heading"
	}
	return ""
}

func TestAWrongLinkIsFound(t *testing.T) {
	here := page{path: filepath.Join(root, "docs", "limits.md"), anchors: map[string]bool{"a-heading": true}}
	all := map[string]page{here.path: here}
	for link, ok := range map[string]bool{
		"architecture.md": true, "../README.md": true, "design": true, "#a-heading": true, "https://example.com/nothing": true,
		"nothing.md": false, "#nothing": false, "architecture.md#nothing": false, "../../elsewhere.md": false,
	} {
		if wrong := follow(all, here, link); (wrong == "") != ok {
			t.Errorf("%s: %q", link, wrong)
		}
	}
}

// The names are those that GitHub gives headings.
func TestAnchors(t *testing.T) {
	for heading, want := range map[string]string{
		"Where things are": "where-things-are", "12. What is it, then?": "12-what-is-it-then", "A_b-c: d/e": "a_b-c-de", "Größe": "größe",
	} {
		if got := anchor(heading); got != want {
			t.Errorf("%q is %q, not %q", heading, got, want)
		}
	}
}

// mention is a page that is named outside of Markdown.
var mention = regexp.MustCompile(`\bdocs/[\w/-]+[\w.-]*\.md\b`)

// Comments and manifests name pages that are there.
func TestMentions(t *testing.T) {
	mentions := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if entry != nil && (strings.HasPrefix(entry.Name(), ".git") || entry.Name() == "bin" || entry.Name() == "testdata") {
				return filepath.SkipDir
			}
			return err
		}
		switch filepath.Ext(path) {
		case ".go", ".yaml", ".yml", ".mod", ".sh", "":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		for _, page := range mention.FindAllString(string(text), -1) {
			mentions++
			if _, err := os.Stat(filepath.Join(root, page)); err != nil {
				t.Errorf("%s names %s, which is not there", path, page)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if mentions < 10 {
		t.Errorf("only %d mentions", mentions)
	}
}
