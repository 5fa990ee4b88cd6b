// Package repository finds the project's source, for tests that need more of it than their package.
package repository

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

const module = "github.com/apptier/apptier"

// Dir is the folder of the project's source. The current folder must be in one of the modules there.
func Dir(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the project's source: run this inside a clone of %s: %w\n%s", module, err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
