package picture

import (
	_ "embed"
	"fmt"
	"html"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Directions that a picture goes in: for wide and for narrow windows.
const (
	wide   = "LR"
	narrow = "TB"
)

//go:embed picture.css
var style string

// WriteSVG writes a graph as a picture that is light or dark as the reader's other windows are.
func WriteSVG(out io.Writer, g Graph) error {
	picture, err := g.svg(wide, "<style>"+style+"</style>")
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, picture)
	return err
}

func nodeID(i int) string { return "n" + strconv.Itoa(i) }

// svg draws a graph in a direction, with something before all shapes.
func (g Graph) svg(direction, before string) (string, error) {
	what := unplaced{Direction: direction, Nodes: []sizedBox{}, Edges: []sized{}}
	for i, n := range g.Nodes {
		box := sizedBox{ID: nodeID(i), Width: n.width(), Height: n.height()}
		if n.Namespace != "" {
			box.Parent = "namespace " + n.Namespace
		}
		what.Nodes = append(what.Nodes, box)
	}
	for _, l := range g.Links {
		what.Edges = append(what.Edges, sized{nodeID(l.From), nodeID(l.To), smallWidth*float64(len(l.Label)) + 10, 18})
	}
	at, err := place(what)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	width, height := max(at.Width, 200), max(at.Height, 60)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="map %s" role="img" aria-label="Who may reach whom" `,
		strings.ToLower(direction))
	fmt.Fprintf(&b, `width="%s" height="%s" viewBox="0 0 %[1]s %[2]s">`+"\n%s\n", number(width), number(height), before)
	fmt.Fprintf(&b,
		`<defs><marker id="head-%s" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">`+
			`<path class="head" d="M0 0.5 8 4 0 7.5z"/></marker></defs>`+"\n<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n", direction)
	for _, box := range at.Boxes {
		if namespace, isFrame := strings.CutPrefix(box.ID, "namespace "); isFrame {
			frame(&b, box, namespace)
		}
	}
	for i, l := range g.Links {
		edge(&b, l, at.Bends[i], direction)
	}
	for i, n := range g.Nodes {
		node(&b, i, n, at.Boxes[slices.IndexFunc(at.Boxes, func(box placedBox) bool { return box.ID == nodeID(i) })])
	}
	b.WriteString("</svg>\n")
	return b.String(), nil
}

// number is one to a tenth, which is less than anybody sees.
func number(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}

func frame(b *strings.Builder, at placedBox, namespace string) {
	const title = 8 // above what dagre leaves, for the name
	left, top := at.X-at.Width/2, at.Y-at.Height/2-title
	fmt.Fprintf(b, `<g class="frame"><rect x="%s" y="%s" width="%s" height="%s" rx="12"/>`, number(left), number(top), number(at.Width),
		number(at.Height+title))
	fmt.Fprintf(b, `<text x="%s" y="%s">%s</text></g>`+"\n", number(left+10), number(top+15), html.EscapeString(namespace))
}

func edge(b *strings.Builder, l Link, at bend, direction string) {
	class, title := "edge", l.Ports
	if l.Maybe {
		title = append(slices.Clone(title), "not known: only a cluster can say")
	}
	if l.Maybe && len(l.Ports) == 0 {
		class += " maybe"
	}
	fmt.Fprintf(b, `<g class="%s" data-from="%d" data-to="%d"><title>%s</title>`, class, l.From, l.To,
		html.EscapeString(strings.Join(title, ", ")))
	fmt.Fprintf(b, `<path marker-end="url(#head-%s)" d="%s"/>`, direction, curve(at.Points))
	half := smallWidth*float64(len(l.Label))/2 + 4
	fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="16" rx="8"/>`, number(at.X-half), number(at.Y-8), number(2*half))
	fmt.Fprintf(b, `<text x="%s" y="%s">%s</text></g>`+"\n", number(at.X), number(at.Y+4), html.EscapeString(l.Label))
}

// curve goes through the middles between points, rounded at the points themselves.
func curve(points []point) string {
	var b strings.Builder
	for i, p := range points {
		switch {
		case i == 0:
			fmt.Fprintf(&b, "M%s %s", number(p.X), number(p.Y))
		case i == len(points)-1:
			fmt.Fprintf(&b, "L%s %s", number(p.X), number(p.Y))
		default:
			next := points[i+1]
			fmt.Fprintf(&b, "Q%s %s %s %s", number(p.X), number(p.Y), number((p.X+next.X)/2), number((p.Y+next.Y)/2))
		}
	}
	return b.String()
}

func node(b *strings.Builder, i int, n Node, at placedBox) {
	class, radius := "node", 8.0
	if n.Namespace == "" {
		class, radius = class+" world", at.Height/2
	}
	if n.Open != "" {
		class += " open"
	}
	left, top := at.X-at.Width/2, at.Y-at.Height/2
	fmt.Fprintf(b, `<g class="%s" data-node="%d"><title>%s</title>`, class, i, html.EscapeString(strings.Join(n.Members, "\n")))
	fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="%s" rx="%s"/>`, number(left), number(top), number(at.Width), number(at.Height),
		number(radius))
	fmt.Fprintf(b, `<text class="kind" x="%s" y="%s">%s</text>`, number(at.X), number(top+17), html.EscapeString(n.Kind))
	fmt.Fprintf(b, `<text class="name" x="%s" y="%s">%s</text>`, number(at.X), number(top+34), html.EscapeString(n.Name))
	if n.Open != "" {
		fmt.Fprintf(b, `<text class="warn" x="%s" y="%s">%s</text>`, number(at.X), number(top+51), html.EscapeString(n.openWords()))
	}
	b.WriteString("</g>\n")
}
