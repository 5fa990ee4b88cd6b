// Command docs writes docs/patterns.md: each pattern with its picture, its AppTier and its truth table.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/apptier/apptier/internal/testenv/repository"

	"github.com/apptier/apptier/test/patterns"
)

const output = "docs/patterns.md"

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write() error {
	root, err := repository.Dir(context.Background())
	if err != nil {
		return err
	}
	all, err := patterns.Load(root)
	if err != nil {
		return fmt.Errorf("reading the patterns: %w", err)
	}
	page, err := page(all)
	if err != nil {
		return fmt.Errorf("writing %s: %w", output, err)
	}
	return os.WriteFile(filepath.Join(root, output), page, 0o644)
}
