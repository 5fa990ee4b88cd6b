package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apptier/apptier/internal/cli/picture"
)

// WriteMapSVG writes a map as a picture for browsers.
func WriteMapSVG(out io.Writer, m Map) error { return picture.WriteSVG(out, m.graph()) }

// WriteMapHTML writes a map as a page that can be searched, in one file.
func WriteMapHTML(out io.Writer, m Map) error { return picture.WriteHTML(out, m.graph()) }

// graph is a map as it is drawn.
func (m Map) graph() picture.Graph {
	w := m.web()
	g := picture.Graph{Nodes: []picture.Node{}, Links: []picture.Link{}, Denied: []picture.Denied{}}
	index := map[string]int{}
	for i, end := range w.ends {
		index[end] = i
		node := picture.Node{Members: w.members(end)}
		node.Namespace, _ = parted(end)
		node.Kind, node.Name = kindOf(w, end)
		if m.isOpen(end) {
			node.Open = w.free[end].directions()
		}
		g.Nodes = append(g.Nodes, node)
	}
	for _, l := range w.sorted() {
		link := picture.Link{From: index[l.from], To: index[l.to], Ports: append([]string{}, w.ports(l)...), By: []string{}}
		link.Label, link.Maybe = w.marked(l, shortPorts(link.Ports)), w.maybe[l]
		for _, e := range w.links[l] {
			if by := e.by(); by != "" && !slices.Contains(link.By, by) {
				link.By = append(link.By, by)
			}
		}
		g.Links = append(g.Links, link)
	}
	for _, d := range m.Denied {
		g.Denied = append(g.Denied, picture.Denied(d))
	}
	if m.Unknown > 0 {
		g.Notes = append(g.Notes, fmt.Sprintf("Not shown: %d questions that only a cluster can answer.", m.Unknown))
	}
	return g
}

// kindOf parts what an end is from what it is called.
func kindOf(w web, end string) (kind, name string) {
	name = w.label(end)
	switch members := w.members(end); {
	case len(members) > 1:
		var names []string
		for _, member := range members {
			names = append(names, member[strings.LastIndex(member, "/")+1:])
		}
		if len(names) > 3 {
			names = append(names[:2], "")
			return fmt.Sprintf("%d workloads", len(members)), fmt.Sprintf("%s, %s and %d more", names[0], names[1], len(members)-2)
		}
		return fmt.Sprintf("%d workloads", len(members)), strings.Join(names, ", ")
	case isWorld(end):
		return "outside", name
	case strings.HasPrefix(name, "any pod"):
		return "pods that may come", name
	}
	parts := strings.Split(name, "/")
	switch len(parts) {
	case 1:
		return "pod", name
	case 2:
		return parts[0], parts[1]
	default:
		return parts[0] + " of " + parts[1], strings.Join(parts[2:], "/")
	}
}

// shortPorts are ports as matrices have them: without the protocol that most are of.
func shortPorts(ports []string) []string {
	var out []string
	for _, port := range ports {
		protocol, number, isOne := strings.Cut(port, " ")
		switch {
		case !isOne:
			out = append(out, protocol)
		case protocol == "TCP":
			out = append(out, number)
		default:
			out = append(out, number+"/"+protocol)
		}
	}
	if slices.Contains(out, "TCP") && slices.Contains(out, "UDP") && slices.Contains(out, "SCTP") {
		return []string{"all"}
	}
	return out
}
