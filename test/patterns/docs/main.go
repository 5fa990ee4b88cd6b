// Command docs writes docs/patterns.md: each pattern with its picture, its AppTier and its truth table.
// Run it at the top of the repository.
package main

import (
	"fmt"
	"os"

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
	all, err := patterns.Load(".")
	if err != nil {
		return fmt.Errorf("reading the patterns: %w", err)
	}
	page, err := page(all)
	if err != nil {
		return fmt.Errorf("writing %s: %w", output, err)
	}
	return os.WriteFile(output, page, 0o644)
}
