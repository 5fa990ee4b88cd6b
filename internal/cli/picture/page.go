package picture

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// WriteHTML writes a graph as a page: a picture for wide windows, one for narrow ones, and all connections as a list. It fills
// the page in without html/template, with which the linker keeps every method of every type: a third of the program.
func WriteHTML(out io.Writer, g Graph) error {
	wider, err := g.svg(wide, "")
	if err != nil {
		return err
	}
	narrower, err := g.svg(narrow, "")
	if err != nil {
		return err
	}
	graph, err := json.Marshal(g) // which escapes <, > and &, so that no name ends the script
	if err != nil {
		return fmt.Errorf("writing the graph: %w", err)
	}
	asks, notes := "", ""
	if slices.ContainsFunc(g.Links, func(l Link) bool { return l.Maybe }) {
		asks = askLegend
	}
	for _, note := range g.Notes {
		notes += `<p class="soft">` + html.EscapeString(note) + "</p>\n"
	}
	// What is written by hand is safe; texts in pictures are escaped where they are drawn.
	_, err = strings.NewReplacer(
		"{{style}}", style+pageStyle, "{{script}}", pageScript, "{{graph}}", string(graph),
		"{{wide}}", wider, "{{narrow}}", narrower, "{{asks}}", asks, "{{notes}}", notes,
	).WriteString(out, pageText)
	return err
}

const askLegend = `<span><i class="key maybe"></i> not known: only a cluster can say</span>
  `
