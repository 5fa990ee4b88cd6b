// Command checksdoc writes docs/checks.md from the catalogue of checks. It runs at the top of the
// repository.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/apptier/apptier/policy/lint"
)

const introduction = `# Checks

These checks judge AppTiers and hand-written NetworkPolicies. A check is exact or silent: a finding is true, and where
the cluster is not known well enough there is no finding, or only a note. An **error** refuses the object, a **warning**
accepts it with a warning, a **note** says what is not known.

Each example shows a wrong object, the corrected one, and, if it matters, the rest of the cluster. The examples are
tests: the first has a finding of its check and of no other, the second has none.

| check | | about | what it finds |
| --- | --- | --- | --- |
`

func main() {
	if err := os.WriteFile("docs/checks.md", markdown(), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func markdown() []byte {
	var out bytes.Buffer
	out.WriteString(introduction)
	entries := lint.Catalogue()
	for _, e := range entries {
		fmt.Fprintf(&out, "| [%s](#%s) | %s | %s | %s |\n", e.ID, e.ID, e.Severity, e.About, e.Title)
	}
	for _, e := range entries {
		example := e.Example()
		fmt.Fprintf(&out, "\n## %s\n\n%s. %s\n", e.ID, e.Title, e.Text)
		if example.Wrong == "" {
			continue // it takes too much of everything to be shown
		}
		fmt.Fprintf(&out, "\nWrong:\n\n%s\nRight:\n\n%s", fence(example.Wrong), fence(example.Right))
		if example.World != "" {
			fmt.Fprintf(&out, "\nIn a cluster with:\n\n%s", fence(example.World))
		}
	}
	return out.Bytes()
}

func fence(text string) string { return "```yaml\n" + strings.TrimRight(text, "\n") + "\n```\n" }
