package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// mermaid writes a graph as a Mermaid flowchart: a frame for each namespace, arrows for what is
// allowed, dotted ones for what waits for the other side, dotted and crossed ones for what is denied.
func mermaid(g *graph) string {
	m := chart{ids: map[*box]string{}}
	for i, b := range g.boxes {
		m.ids[b] = fmt.Sprintf("b%d", i+1) // names of one's own might be words of the language
	}
	m.line("flowchart LR")
	for i, namespace := range namespaces(g) {
		m.line("  subgraph ns%d[%s]", i+1, quote("namespace "+namespace))
		m.boxes(g, namespace, "    ")
		m.line("  end")
	}
	m.boxes(g, "", "  ")
	for _, a := range g.arrows {
		m.line("  %s %s %s", m.ids[a.from], link(a), m.ids[a.to])
	}
	return m.text.String()
}

// chart is a flowchart that is being written.
type chart struct {
	text strings.Builder
	ids  map[*box]string
}

func (m *chart) line(format string, args ...any) { fmt.Fprintf(&m.text, format+"\n", args...) }

func (m *chart) boxes(g *graph, namespace, indent string) {
	for _, b := range g.boxes {
		if b.namespace != namespace {
			continue
		}
		left, right := "[", "]"
		switch b.shape {
		case rectangle:
		case rounded:
			left, right = "(", ")"
		case stadium:
			left, right = "([", "])"
		}
		m.line("%s%s%s%s%s", indent, m.ids[b], left, quote(b.label), right)
	}
}

// namespaces are those of the boxes, sorted.
func namespaces(g *graph) []string {
	var found []string
	for _, b := range g.boxes {
		if b.namespace != "" {
			found = append(found, b.namespace)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func link(a *arrow) string {
	label := cmp.Or(a.label, a.ports.String())
	switch a.kind {
	case denied:
		return "-.-x"
	case pending:
		return fmt.Sprintf("-.->|%s|", quote(strings.TrimPrefix(label+", if it agrees", ", ")))
	case allowed:
	}
	return fmt.Sprintf("-->|%s|", quote(label))
}

// quote makes a text harmless, with Mermaid's own codes for characters.
func quote(text string) string {
	escaped := strings.NewReplacer(
		"#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "`", "#96;", "\n", " ",
	).Replace(text)
	return `"` + escaped + `"`
}
