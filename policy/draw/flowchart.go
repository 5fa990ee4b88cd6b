package draw

import (
	"fmt"
	"strings"
)

// Node is somebody in a picture: pods of a namespace, or, without one, addresses or others outside of all.
type Node struct {
	// Key identifies a node.
	Key, Namespace, Label string
}

// Edge is a connection between two nodes, by their keys, and what it says.
type Edge struct{ From, To, Label string }

// Flowchart returns nodes and edges in the language of https://mermaid.js.org: a frame for each namespace.
func Flowchart(nodes []Node, edges []Edge) string {
	g := &graph{}
	for _, n := range nodes {
		shape := rectangle
		if n.Namespace == "" {
			shape = stadium
		}
		g.box(box{key: n.Key, namespace: n.Namespace, label: n.Label, shape: shape})
	}
	for _, e := range edges {
		if from, to := g.find(e.From), g.find(e.To); from != nil && to != nil {
			g.arrows = append(g.arrows, &arrow{from: from, to: to, label: e.Label})
		}
	}
	return mermaid(g)
}

// Dot returns nodes and edges in the language of https://graphviz.org: a cluster for each namespace.
func Dot(nodes []Node, edges []Edge) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("digraph reach {")
	line("  rankdir=LR")
	line("  node [shape=box, fontname=sans]")
	line("  edge [fontname=sans]")
	ids := map[string]string{}
	write := func(namespace, indent string) {
		for _, n := range nodes {
			if n.Namespace != namespace {
				continue
			}
			shape := ""
			if namespace == "" {
				shape = ", shape=oval"
			}
			line("%s%s [label=%s%s]", indent, ids[n.Key], dotQuote(n.Label), shape)
		}
	}
	g := &graph{}
	for i, n := range nodes {
		ids[n.Key] = fmt.Sprintf("n%d", i+1)
		g.boxes = append(g.boxes, &box{key: n.Key, namespace: n.Namespace})
	}
	for i, namespace := range namespaces(g) {
		line("  subgraph cluster%d {", i+1)
		line("    label=%s", dotQuote("namespace "+namespace))
		write(namespace, "    ")
		line("  }")
	}
	write("", "  ")
	for _, e := range edges {
		line("  %s -> %s [label=%s]", ids[e.From], ids[e.To], dotQuote(e.Label))
	}
	line("}")
	return b.String()
}

// dotQuote writes a text as a quoted string, in which a backslash and a quote are escaped.
func dotQuote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(text) + `"`
}
