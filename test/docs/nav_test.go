package docs

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

// Whoever looks at the site finds every page: on its left, or in an index that is there.
func TestEveryPageIsInTheNavigation(t *testing.T) {
	text, err := os.ReadFile(root + "/site/data/nav.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var sections []struct{ Pages []string }
	if err := yaml.Unmarshal(text, &sections); err != nil {
		t.Fatal(err)
	}
	all := pages(t)
	found := map[string]bool{filepath.Clean(root + "/docs/README.md"): true}
	for _, section := range sections {
		for _, name := range section.Pages {
			path := filepath.Join(root, "docs", name)
			if found[path] {
				t.Errorf("%s is there twice", name)
			}
			found[path] = true
			if filepath.Base(path) != "README.md" {
				continue
			}
			for _, link := range all[path].links {
				found[filepath.Join(filepath.Dir(path), link)] = true
			}
		}
	}
	for path := range all {
		if filepath.Dir(path) != filepath.Clean(root) && !found[path] {
			t.Errorf("%s is not in site/data/nav.yaml", path)
		}
	}
}
