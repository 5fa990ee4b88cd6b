// Package modules holds the modules of the repository to each other.
package modules

import (
	"encoding/json"
	"os/exec"
	"testing"
)

const root = "../.."

// What the project requires, as go.mod says, has the same version where it is tested: else other code is tested than what
// people build, and is compiled twice.
func TestTheProjectIsTestedWithWhatItRequires(t *testing.T) {
	var project, tests struct {
		Go      string
		Require []requirement
	}
	decode(t, &project, root)
	decode(t, &tests, root+"/test")
	if project.Go != tests.Go {
		t.Errorf("the project has go %s, and its tests %s", project.Go, tests.Go)
	}
	here := map[string]string{}
	for _, r := range tests.Require {
		here[r.Path] = r.Version
	}
	both := 0
	for _, r := range project.Require {
		switch version, ok := here[r.Path]; {
		case ok && version != r.Version:
			t.Errorf("%s: the project requires %s, and its tests %s", r.Path, r.Version, version)
		case ok:
			both++
		}
	}
	if both < 50 {
		t.Errorf("only %d modules in common", both)
	}
}

type requirement struct{ Path, Version string }

// decode reads the go.mod of a folder.
func decode(t *testing.T, into any, folder string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	command.Dir = folder
	out, err := command.Output()
	if err != nil {
		t.Fatalf("reading the go.mod of %s: %v", folder, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("reading the go.mod of %s: %v", folder, err)
	}
}
