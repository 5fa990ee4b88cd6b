package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Whoever can execute a template can call any exported method by its name. If one is executed anywhere in the program, the
// linker keeps all methods of all types, and the plugin has 58 MB in place of 40: package reflect, Value.MethodByName.
func TestNoTemplateIsExecuted(t *testing.T) {
	if testing.Short() {
		t.Skip("links the plugin, which -short leaves out")
	}
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w -dumpdep",
		"-o", filepath.Join(t.TempDir(), "kubectl-apptier"), ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	depends, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("building the plugin: %v\n%s", err, depends[max(0, len(depends)-2000):])
	}
	if !bytes.Contains(depends, []byte("main.main -> ")) {
		t.Fatal("the linker does not say what depends on what")
	}
	for line := range bytes.Lines(depends) {
		if bytes.Contains(line, []byte(" -> text/template.(*Template).Execute")) && !bytes.HasPrefix(line, []byte("text/template.")) &&
			!bytes.HasPrefix(line, []byte("type:")) {
			t.Errorf("a template is executed: %s", line)
		}
	}
}
