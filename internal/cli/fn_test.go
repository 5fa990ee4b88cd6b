package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/golden"
)

// Each ResourceList of testdata/fn comes to what the golden file of its name holds.
func TestFunction(t *testing.T) {
	files, err := filepath.Glob("testdata/fn/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			list, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			stdout, stderr, code := run(t, string(list), "fn")
			text := fmt.Sprintf("$ kubectl-apptier fn < %s\n%s--- standard error\n%s--- exit %d\n", file, stdout, stderr, code)
			golden.Assert(t, text, filepath.Join("golden", "fn-"+name+".txt"))
			if again, _, _ := run(t, stdout, "fn"); code == 0 && strings.Contains(stdout, "kind: AppTier") && again != stdout {
				t.Errorf("a second run changes the list to:\n%s", again)
			}
		})
	}
}

// Its output is for programs, so nothing but a list is ever printed.
func TestFunctionWithoutInput(t *testing.T) {
	stdout, stderr, code := run(t, "", "fn")
	if code != 2 || stdout != "" || !strings.Contains(stderr, "error: standard input is no ResourceList") {
		t.Errorf("exits with %d and prints %q: %s", code, stdout, stderr)
	}
}
