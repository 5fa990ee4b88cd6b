package picture

import (
	_ "embed"
	"fmt"
	"html"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

//go:embed flowchart.css
var chartStyle string

// flowchart is a picture in the part of Mermaid's language that documentation here is written in: nodes with a quoted label, frames
// of nodes, and arrows from one node to one or several.
type flowchart struct {
	direction string
	frames    []string
	nodes     []chartNode
	arrows    []chartArrow
}

type chartNode struct {
	id    string
	lines []string
	class string
	round float64
	frame int // its number and 1; 0 is none
}

type chartArrow struct {
	from, to        string
	label           string
	dotted, crossed bool
}

var (
	chartBegin = regexp.MustCompile(`^flowchart (LR|TB)$`)
	chartFrame = regexp.MustCompile(`^subgraph \w+\["([^"]*)"\]$`)
	chartBox   = regexp.MustCompile(`^(\w+)(\[\(|\(\[|\[|\()"?([^"\])]*)"?[\])]+$`)
	chartEdge  = regexp.MustCompile(`^(\w+)(?:[\[(].*[\])])? (-->|-\.->|-\.-x)(?:\|"?([^"|]*)"?\|)? (\w+(?:[\[(].*[\])])?(?: & \w+)*)$`)
	lineBreak  = regexp.MustCompile(`<br/?>`)
)

// WriteFlowchart draws what Mermaid would draw of a flowchart, so that documentation has the same pictures where nothing runs
// Mermaid. What it does not know is an error.
func WriteFlowchart(out io.Writer, mermaid string) error {
	chart, err := parseFlowchart(mermaid)
	if err != nil {
		return err
	}
	picture, err := chart.svg()
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, picture)
	return err
}

func parseFlowchart(mermaid string) (flowchart, error) {
	var c flowchart
	frame := 0
	for line := range strings.Lines(mermaid) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case line == "end":
			frame = 0
		case chartBegin.MatchString(line):
			c.direction = chartBegin.FindStringSubmatch(line)[1]
		case chartFrame.MatchString(line):
			c.frames = append(c.frames, chartFrame.FindStringSubmatch(line)[1])
			frame = len(c.frames)
		case chartEdge.MatchString(line):
			if err := c.addArrows(line, frame); err != nil {
				return c, err
			}
		case chartBox.MatchString(line):
			c.addNode(line, frame)
		default:
			return c, fmt.Errorf("not of the part of Mermaid that is drawn here: %s", line)
		}
	}
	if c.direction == "" {
		return c, fmt.Errorf("not a flowchart from left to right (LR) or from top to bottom (TB)")
	}
	return c, nil
}

// addArrows adds the arrows of a line, and the nodes that it has the labels of.
func (c *flowchart) addArrows(line string, frame int) error {
	match := chartEdge.FindStringSubmatch(line)
	left, _, _ := strings.Cut(line, " "+match[2])
	ends := []string{left}
	if strings.ContainsAny(match[4], "[(") {
		ends = append(ends, match[4])
	} else {
		ends = append(ends, strings.Split(match[4], " & ")...)
	}
	for i, end := range ends {
		if chartBox.MatchString(end) {
			c.addNode(end, frame)
			ends[i] = chartBox.FindStringSubmatch(end)[1]
		}
		if !slices.ContainsFunc(c.nodes, func(n chartNode) bool { return n.id == ends[i] }) {
			return fmt.Errorf("an arrow of a node without a label: %s", line)
		}
	}
	for _, to := range ends[1:] {
		c.arrows = append(c.arrows, chartArrow{
			from: ends[0], to: to, label: lineBreak.ReplaceAllString(match[3], " "), dotted: match[2] != "-->", crossed: match[2] == "-.-x",
		})
	}
	return nil
}

func (c *flowchart) addNode(text string, frame int) {
	match := chartBox.FindStringSubmatch(text)
	n := chartNode{id: match[1], lines: lineBreak.Split(match[3], -1), class: "node", round: 6, frame: frame}
	switch match[2] {
	case "(":
		n.round = 14
	case "([":
		n.class, n.round = "node world", n.height()/2
	case "[(":
		n.class = "node world"
	}
	c.nodes = append(c.nodes, n)
}

const (
	lineHeight = 17
	// bigWidth is from when on a picture is not to be made smaller than it is, since nobody could read it.
	bigWidth = 1500
)

func (n chartNode) height() float64 { return 18 + lineHeight*float64(len(n.lines)) }

func (n chartNode) width() float64 {
	longest := 0
	for _, line := range n.lines {
		longest = max(longest, utf8.RuneCountInString(line))
	}
	return max(60, 24+letterWidth*0.93*float64(longest))
}

func (c flowchart) svg() (string, error) {
	at, err := place(c.sizes())
	if err != nil {
		return "", err
	}
	var b strings.Builder
	title, class := c.title(), "map chart "+strings.ToLower(c.direction)
	if at.Width > bigWidth {
		class += " big"
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="%s" role="img" aria-label="%s" `, class, title)
	fmt.Fprintf(&b, `width="%s" height="%s" viewBox="0 0 %[1]s %[2]s">`+"\n<style>%s</style>\n", number(at.Width), number(at.Height), style+chartStyle)
	fmt.Fprintf(&b, `<defs><marker id="head-%s" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">`+
		`<path class="head" d="M0 0.5 8 4 0 7.5z"/></marker><marker id="cross" viewBox="0 0 8 8" refX="9" refY="4" markerWidth="9" `+
		`markerHeight="9" orient="auto"><path class="cross" d="M1 1 7 7M7 1 1 7"/></marker></defs>`+"\n", c.direction)
	for _, box := range at.Boxes {
		if name, isFrame := strings.CutPrefix(box.ID, "frame "); isFrame {
			frame(&b, box, name)
		}
	}
	for i, a := range c.arrows {
		a.draw(&b, at.Bends[i], c.direction)
	}
	for _, n := range c.nodes {
		n.draw(&b, at.Boxes[slices.IndexFunc(at.Boxes, func(box placedBox) bool { return box.ID == n.id })])
	}
	b.WriteString("</svg>\n")
	return b.String(), nil
}

// title is what is read to who does not see the picture: its arrows.
func (c flowchart) title() string {
	names := map[string]string{}
	for _, n := range c.nodes {
		names[n.id] = strings.Join(n.lines, " ")
	}
	var said []string
	for _, a := range c.arrows {
		verb := " to "
		if a.crossed {
			verb = " not to "
		}
		sentence := names[a.from] + verb + names[a.to]
		if a.label != "" {
			sentence += ": " + a.label
		}
		said = append(said, sentence)
	}
	return html.EscapeString(strings.Join(said, "; "))
}

func (c flowchart) sizes() unplaced {
	what := unplaced{Direction: c.direction, Nodes: []sizedBox{}, Edges: []sized{}}
	for _, n := range c.nodes {
		box := sizedBox{ID: n.id, Width: n.width(), Height: n.height()}
		if n.frame > 0 {
			box.Parent = "frame " + c.frames[n.frame-1]
		}
		what.Nodes = append(what.Nodes, box)
	}
	for _, a := range c.arrows {
		what.Edges = append(what.Edges, sized{a.from, a.to, smallWidth*float64(utf8.RuneCountInString(a.label)) + 10, 18})
	}
	return what
}

func (a chartArrow) draw(b *strings.Builder, at bend, direction string) {
	class, head := "edge", "head-"+direction
	if a.dotted {
		class += " dotted"
	}
	if a.crossed {
		class, head = class+" crossed", "cross"
	}
	fmt.Fprintf(b, `<g class="%s"><path marker-end="url(#%s)" d="%s"/>`, class, head, curve(at.Points))
	if a.label != "" {
		half := smallWidth*float64(utf8.RuneCountInString(a.label))/2 + 4
		fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="16" rx="8"/>`, number(at.X-half), number(at.Y-8), number(2*half))
		fmt.Fprintf(b, `<text x="%s" y="%s">%s</text>`, number(at.X), number(at.Y+4), html.EscapeString(a.label))
	}
	b.WriteString("</g>\n")
}

func (n chartNode) draw(b *strings.Builder, at placedBox) {
	left, top := at.X-at.Width/2, at.Y-at.Height/2
	fmt.Fprintf(b, `<g class="%s"><rect x="%s" y="%s" width="%s" height="%s" rx="%s"/>`,
		n.class, number(left), number(top), number(at.Width), number(at.Height), number(n.round))
	for i, line := range n.lines {
		class := ""
		if i == 0 && len(n.lines) > 1 {
			class = ` class="name"`
		}
		fmt.Fprintf(b, `<text%s x="%s" y="%s">%s</text>`, class, number(at.X), number(top+22+lineHeight*float64(i)-1), html.EscapeString(line))
	}
	b.WriteString("</g>\n")
}
