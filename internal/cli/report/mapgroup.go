package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// mostEnds is up to how many a picture shows each by itself.
const mostEnds = 40

// Grouped has one end for all of a namespace that reach the same and are reached by the same, on the same ports, and are
// isolated in the same directions: always, never, or, with "auto", when there are more than people read.
func (m Map) Grouped(when string) Map {
	w := m.web()
	if when == "never" || when != "always" && len(w.ends) <= mostEnds {
		return m
	}
	w.link(m.Each)
	groups := w.equals()
	out := m
	out.Edges, out.Each, out.Groups = between(groups, m.Edges), between(groups, m.Each), groups
	return out
}

// equals are, of each end, all who are as it is. Who is outside of all namespaces stays alone.
func (w web) equals() map[string][]string {
	out, in := map[string][]string{}, map[string][]string{}
	for _, l := range slices.SortedFunc(maps.Keys(w.links),
		func(a, b link) int { return strings.Compare(a.from+"\n"+a.to, b.from+"\n"+b.to) }) {
		ports := slices.Sorted(slices.Values(w.ports(l)))
		out[l.from] = append(out[l.from], fmt.Sprintf("to %q %q", l.to, ports))
		in[l.to] = append(in[l.to], fmt.Sprintf("from %q %q", l.from, ports))
	}
	members := map[string][]string{}
	kind := func(name string) string {
		if isWorld(name) {
			return name
		}
		namespace, _ := parted(name)
		return fmt.Sprint(namespace, out[name], in[name], w.free[name].Ingress, w.free[name].Egress)
	}
	for _, name := range w.ends {
		members[kind(name)] = append(members[kind(name)], name)
	}
	groups := map[string][]string{}
	for _, names := range members {
		for _, name := range names {
			groups[name] = names
		}
	}
	return groups
}

// between are edges of groups in the place of those of their members. Where rules of several lines say so, none is named.
func between(groups map[string][]string, edges []Edge) []Edge {
	joined := web{groups: groups}
	index := map[link]int{}
	out := []Edge{}
	for _, e := range edges {
		for _, from := range joined.firsts(e.From) {
			for _, to := range joined.firsts(e.To) {
				i, found := index[link{from, to}]
				if !found {
					index[link{from, to}] = len(out)
					out = append(out, Edge{From: joined.members(from), To: joined.members(to), Ports: slices.Clone(e.Ports), File: e.File, Line: e.Line})
					continue
				}
				out[i].join(e)
			}
		}
	}
	return out
}

// join adds an edge between the same ends.
func (e *Edge) join(other Edge) {
	for _, port := range other.Ports {
		if !slices.Contains(e.Ports, port) {
			e.Ports = append(e.Ports, port)
		}
	}
	if e.File != other.File || e.Line != other.Line {
		e.File, e.Line = "", 0
	}
}
