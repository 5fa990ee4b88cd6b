// Package workflows holds what a forge does with the repository to the Makefile, and to the rights that it needs.
package workflows

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = "../.."

type workflow struct {
	Permissions *map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		Permissions *map[string]string `json:"permissions"`
		Timeout     int                `json:"timeout-minutes"`
		Steps       []struct {
			Uses string         `json:"uses"`
			Run  string         `json:"run"`
			With map[string]any `json:"with"`
		} `json:"steps"`
	} `json:"jobs"`
}

func decode(t *testing.T, path string, into any) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(text)
}

var (
	// pinned is an action by its commit, and the version that people know it by.
	pinned = regexp.MustCompile(`(?m)^ *-? *uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	uses   = regexp.MustCompile(`(?m)^ *-? *uses: `)
	target = regexp.MustCompile(`(?m)^make ([^\n]+)$`)
)

// Workflows run make's targets, with no right that they do not name, and with actions that nobody can change behind their back.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(root + "/.github/workflows/*.yml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	targets := 0
	for _, file := range files {
		var w workflow
		text := decode(t, file, &w)
		if w.Permissions == nil || len(*w.Permissions) > 0 {
			t.Errorf("%s: permissions are %v for every job", file, w.Permissions)
		}
		if got, want := len(pinned.FindAllString(text, -1)), len(uses.FindAllString(text, -1)); got != want {
			t.Errorf("%s: %d of %d actions are pinned to a commit, with their version", file, got, want)
		}
		for name, job := range w.Jobs {
			if job.Permissions == nil || job.Timeout == 0 {
				t.Errorf("%s: job %s has no permissions or no timeout", file, name)
			}
			for _, step := range job.Steps {
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s: job %s leaves its token in the checkout", file, name)
				}
				for _, match := range target.FindAllStringSubmatch(step.Run, -1) {
					targets++
					command := exec.CommandContext(t.Context(), "sh", "-c", "make -n "+match[1])
					command.Dir, command.Env = root, append(os.Environ(), "GITHUB_REF_NAME=v0.1.0")
					if out, err := command.CombinedOutput(); err != nil {
						t.Errorf("%s: make %s: %v\n%s", file, match[1], err, out)
					}
				}
			}
		}
	}
	if targets < 8 {
		t.Errorf("only %d targets", targets)
	}
}

var page = regexp.MustCompile(`\b(?:docs/[\w/-]+|[A-Z]+)\.md\b`)

// Forms have what GitHub wants of them, and name pages that are there.
func TestForms(t *testing.T) {
	files, err := filepath.Glob(root + "/.github/ISSUE_TEMPLATE/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, root+"/.github/pull_request_template.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range page.FindAllString(string(text), -1) {
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("%s names %s, which is not there", file, name)
			}
		}
		if filepath.Base(file) == "config.yml" || filepath.Ext(file) == ".md" {
			continue
		}
		var form struct {
			Name, Description string
			Body              []struct{ Type, ID string }
		}
		decode(t, file, &form)
		if form.Name == "" || form.Description == "" {
			t.Errorf("%s has no name or description", file)
		}
		seen := map[string]bool{"": true}
		for _, field := range form.Body {
			if field.Type != "markdown" && seen[field.ID] {
				t.Errorf("%s: a %s has no id, or that of another: %q", file, field.Type, field.ID)
			}
			seen[field.ID] = true
		}
	}
}
