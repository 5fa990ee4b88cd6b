package picture

import (
	_ "embed"
	"html/template"
	"io"
	"slices"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

var page = template.Must(template.New("page").Parse(pageText))

// WriteHTML writes a graph as a page: a picture for wide windows, one for narrow ones, and all connections as a list.
func WriteHTML(out io.Writer, g Graph) error {
	wider, err := g.svg(wide, "")
	if err != nil {
		return err
	}
	narrower, err := g.svg(narrow, "")
	if err != nil {
		return err
	}
	// What is written by hand is safe; texts in pictures are escaped where they are drawn.
	return page.Execute(out, map[string]any{
		"Graph": g, "Notes": g.Notes, "Asks": slices.ContainsFunc(g.Links, func(l Link) bool { return l.Maybe }),
		"Style": template.CSS(style + pageStyle), "Script": template.JS(pageScript), //nolint:gosec // embedded files
		"Wide": template.HTML(wider), "Narrow": template.HTML(narrower), //nolint:gosec // escaped by svg
	})
}
