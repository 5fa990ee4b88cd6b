package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/lint/check"
)

// InOrder sorts findings as a reader of the files meets them: by file, in the order of the input, and by
// line.
func InOrder(findings []manifest.Finding) {
	files := map[string]int{}
	for _, f := range findings {
		if _, found := files[f.File()]; !found {
			files[f.File()] = len(files)
		}
	}
	slices.SortStableFunc(findings, func(a, b manifest.Finding) int {
		lineOfA, columnOfA := a.Position()
		lineOfB, columnOfB := b.Position()
		return cmp.Or(cmp.Compare(files[a.File()], files[b.File()]), cmp.Compare(lineOfA, lineOfB), cmp.Compare(columnOfA, columnOfB))
	})
}

// WriteFindings writes findings for people: where, what and why, and what to write instead.
func WriteFindings(out io.Writer, findings []manifest.Finding) {
	for _, f := range findings {
		line, _ := f.Position()
		fmt.Fprintf(out, "%s: %s: %s (%s)\n", f.Source.Origin.At(line), f.Severity, f.Sentence(), f.Check)
		if f.Fix != "" {
			fmt.Fprintf(out, "    fix: %s\n", f.Fix)
		}
	}
}

// WriteFindingsJSON writes findings for programs. Without any, the list is empty and there.
func WriteFindingsJSON(out io.Writer, findings []manifest.Finding) error {
	type entry struct {
		Check    check.ID       `json:"check"`
		Severity check.Severity `json:"severity"`
		// File, line and column, from 1, are left out where they are not known.
		File    string `json:"file,omitempty"`
		Line    int    `json:"line,omitempty"`
		Column  int    `json:"column,omitempty"`
		Object  string `json:"object"`
		Path    string `json:"path"`
		Message string `json:"message"`
		Fix     string `json:"fix"`
	}
	entries := make([]entry, 0, len(findings))
	for _, f := range findings {
		line, column := f.Position()
		entries = append(entries, entry{f.Check, f.Severity, f.File(), line, column, f.Source.Name, string(f.Path), f.Message, f.Fix})
	}
	return WriteJSON(out, map[string]any{"findings": entries})
}
