package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// web is a map taken apart: everybody by one name, or the first of all who are equal, and what each may say to each other.
type web struct {
	ends   []string
	groups map[string][]string
	links  map[link][]Edge
	free   map[string]Open
	// maybe are links of which only a cluster can say whether they are more.
	maybe map[link]bool
}

// link is a sender and a receiver.
type link struct{ from, to string }

// web takes the edges of a map apart. The ends of a namespace follow each other, and those outside of all come last.
func (m Map) web() web {
	w := web{links: map[link][]Edge{}, free: map[string]Open{}, maybe: map[link]bool{}, groups: m.Groups}
	maps.Copy(w.free, m.Free)
	ends := map[string]bool{}
	for _, o := range m.Open {
		ends[w.first(o.Name)], w.free[o.Name] = true, o
	}
	for _, e := range m.Edges {
		for _, name := range slices.Concat(e.From, e.To) {
			ends[w.first(name)] = true
		}
	}
	for p := range m.Maybe {
		for _, name := range []string{p.From, p.To} {
			if !isWorld(name) { // who may come from anywhere is no end by what is not known alone
				ends[w.first(name)] = true
			}
		}
		w.maybe[link{w.first(p.From), w.first(p.To)}] = true
	}
	w.link(m.Edges)
	w.ends = slices.SortedFunc(maps.Keys(ends), func(a, b string) int {
		inA, _ := parted(a)
		inB, _ := parted(b)
		return cmp.Or(cmpBool(inA == "", inB == ""), cmp.Compare(inA, inB), cmp.Compare(a, b))
	})
	return w
}

func (w web) link(edges []Edge) {
	for _, e := range edges {
		for _, from := range w.firsts(e.From) {
			for _, to := range w.firsts(e.To) {
				w.links[link{from, to}] = append(w.links[link{from, to}], e)
			}
		}
	}
}

// sorted are the links in the order of their ends.
func (w web) sorted() []link {
	var out []link
	for _, from := range w.ends {
		for _, to := range w.ends {
			if l := (link{from, to}); len(w.links[l]) > 0 || w.maybe[l] {
				out = append(out, l)
			}
		}
	}
	return out
}

// first stands for all who are equal.
func (w web) first(name string) string {
	if group := w.groups[name]; len(group) > 0 {
		return group[0]
	}
	return name
}

func (w web) firsts(names []string) []string {
	if w.groups == nil {
		return names
	}
	var out []string
	for _, name := range names {
		if first := w.first(name); !slices.Contains(out, first) {
			out = append(out, first)
		}
	}
	return out
}

// members are all that an end stands for.
func (w web) members(end string) []string {
	if group := w.groups[end]; len(group) > 0 {
		return group
	}
	return []string{end}
}

// label is what an end is called within its namespace.
func (w web) label(end string) string {
	names := w.members(end)
	short := func(name string) string {
		_, rest := parted(name)
		return rest
	}
	const most = 3
	if len(names) > most {
		return fmt.Sprintf("%s, %s and %d more", short(names[0]), short(names[1]), len(names)-2)
	}
	var all []string
	for _, name := range names {
		all = append(all, short(name))
	}
	return strings.Join(all, ", ")
}

func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// ports are those that a sender may reach a receiver on.
func (w web) ports(l link) []string {
	var out []string
	for _, e := range w.links[l] {
		for _, port := range e.Ports {
			if !slices.Contains(out, port) {
				out = append(out, port)
			}
		}
	}
	return out
}

// marked is what stands for a link in a picture: its ports, and a question mark if there may be more.
func (w web) marked(l link, ports []string) string {
	if !w.maybe[l] {
		return Few(ports)
	}
	return Few(append(slices.Clone(ports), notKnown))
}

// notKnown marks what only a cluster can say.
const notKnown = "?"

// isFree says whether no policy stands between two ends: what one may send and the other may hear is everything.
func (w web) isFree(l link) bool {
	from, to := w.free[l.from], w.free[l.to]
	return len(w.links[l]) == 0 && l.from != l.to && (from.Egress || isWorld(l.from)) && (to.Ingress || isWorld(l.to)) &&
		(!isWorld(l.from) || !isWorld(l.to))
}

// parted is the namespace that an end is in, and its name there; addresses and others outside of all are in none.
func parted(name string) (namespace, rest string) {
	namespace, rest, isPods := strings.Cut(name, "/")
	if !isPods || strings.ContainsAny(namespace, ".: ") {
		return "", name
	}
	return namespace, rest
}

// isWorld says whether an end is outside of all namespaces that are known.
func isWorld(name string) bool {
	namespace, _ := parted(name)
	return namespace == ""
}

// among are the ports of a link and of all wider ones: what any address may do, one of a range may too.
func (w web) among(l link) []string {
	all := web{links: map[link][]Edge{}}
	for _, from := range append([]string{l.from}, w.wider(l.from)...) {
		for _, to := range append([]string{l.to}, w.wider(l.to)...) {
			all.links[l] = append(all.links[l], w.links[link{from, to}]...)
		}
	}
	return all.ports(l)
}

func (w web) wider(name string) []string {
	return slices.DeleteFunc(slices.Clone(w.ends), func(other string) bool { return !isWithin(name, other) })
}
