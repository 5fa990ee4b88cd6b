package report

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/apptier/apptier/policy/draw"
)

// Map is who may reach whom.
type Map struct {
	Edges []Edge `json:"edges"`
	// Open are those that no policy isolates in a direction.
	Open []Open `json:"notIsolated"`
	// Unknown counts the questions to which only a cluster has an answer.
	Unknown int `json:"unknown"`
	// Denied are who may not connect, if somebody asked.
	Denied []Pairs `json:"denied,omitempty"`
	// NotKnown are who may connect or not, on some port: only a cluster can say.
	NotKnown []Pairs `json:"notKnown,omitempty"`
	// Maybe are the pairs of NotKnown, one by one.
	Maybe map[Pair]bool `json:"-"`
	// Groups are all who are as somebody is, by name, if equal ones are joined.
	Groups map[string][]string `json:"-"`
	// Each are the edges of each sender and receiver, where Edges have everyone in the place of many.
	Each []Edge `json:"-"`
	// Free says of everybody by name, given or described, in which directions no policy isolates some of their pods.
	Free map[string]Open `json:"-"`
}

// Edge is connections that rules allow.
type Edge struct {
	From  []string `json:"from"`
	To    []string `json:"to"`
	Ports []string `json:"ports"`
	// File and Line are where the rule is written; of a cluster, they are empty.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Open is somebody that no policy isolates, and in which directions.
type Open struct {
	Name    string `json:"name"`
	Ingress bool   `json:"ingress"`
	Egress  bool   `json:"egress"`
}

func (o Open) directions() string {
	switch {
	case o.Ingress && o.Egress:
		return "ingress, egress"
	case o.Ingress:
		return "ingress"
	default:
		return "egress"
	}
}

func (e Edge) by() string { return Change{File: e.File, Line: e.Line}.by() }

// WriteMap writes a map as a table.
func WriteMap(out io.Writer, m Map) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	if len(m.Edges) > 0 {
		fmt.Fprintln(table, "FROM\tTO\tPORTS\tBY")
	}
	for _, e := range m.Edges {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", Few(e.From), Few(e.To), Few(e.Ports), e.by())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(m.Edges) == 0 {
		fmt.Fprintln(out, "no rule allows a connection")
	}
	for i, o := range m.Open {
		if i == 0 {
			fmt.Fprintln(out, "\nnot isolated:")
		}
		fmt.Fprintf(out, "  %s (%s)\n", o.Name, o.directions())
	}
	writePairs(out, titleDenied, m.Denied)
	writePairs(out, titleNotKnown, m.NotKnown)
	return m.writeUnknown(out)
}

func (m Map) writeUnknown(out io.Writer) error {
	if m.Unknown == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "\nnot shown: %d questions that only a cluster can answer\n", m.Unknown)
	return err
}

// WriteMapMarkdown writes a map as a table of Markdown.
func WriteMapMarkdown(out io.Writer, m Map) error {
	fmt.Fprint(out, "| from | to | ports | by |\n| --- | --- | --- | --- |\n")
	for _, e := range m.Edges {
		fmt.Fprintf(out, "| `%s` | `%s` | `%s` | %s |\n", Few(e.From), Few(e.To), Few(e.Ports), e.by())
	}
	for i, o := range m.Open {
		if i == 0 {
			fmt.Fprint(out, "\nNot isolated:\n\n")
		}
		fmt.Fprintf(out, "- `%s` (%s)\n", o.Name, o.directions())
	}
	writePairsMarkdown(out, titleDenied, m.Denied)
	writePairsMarkdown(out, titleNotKnown, m.NotKnown)
	return m.writeUnknown(out)
}

// WriteMapJSON writes a map for programs.
func WriteMapJSON(out io.Writer, m Map) error { return WriteJSON(out, m) }

// WriteMapMermaid writes a map as a flowchart of Mermaid, which GitHub and others show in Markdown.
func WriteMapMermaid(out io.Writer, m Map) error {
	_, err := io.WriteString(out, draw.Flowchart(m.picture()))
	return err
}

// WriteMapDot writes a map for graphviz.
func WriteMapDot(out io.Writer, m Map) error {
	_, err := io.WriteString(out, draw.Dot(m.picture()))
	return err
}

// picture has a node for everybody, or for all who are equal, with those that are not isolated.
func (m Map) picture() ([]draw.Node, []draw.Edge) {
	w := m.web()
	var nodes []draw.Node
	var edges []draw.Edge
	for _, name := range w.ends {
		namespace, _ := parted(name)
		label := w.label(name)
		if o := w.free[name]; m.isOpen(name) {
			label += " (not isolated: " + o.directions() + ")"
		}
		nodes = append(nodes, draw.Node{Key: name, Namespace: namespace, Label: label})
	}
	for _, l := range w.sorted() {
		edges = append(edges, draw.Edge{From: l.from, To: l.to, Label: w.marked(l, w.ports(l))})
	}
	return nodes, edges
}

// isOpen says whether somebody who is given is not isolated.
func (m Map) isOpen(name string) bool {
	return slices.ContainsFunc(m.Open, func(o Open) bool { return o.Name == name })
}
