package report

import (
	"slices"
	"strings"
)

// Focus is the map as far as it is at most so many connections away from who has a text in its name, in either direction;
// all of it without a text. Those outside of all namespaces are no way from one to another: that the internet reaches two
// of them says nothing of these.
func (m Map) Focus(on string, around int) Map {
	if on == "" {
		return m
	}
	near := m.near(on, around)
	isNear := func(name string) bool { return isStep(near, name, around) }
	isAbout := func(e Edge) bool { return slices.ContainsFunc(e.From, isNear) || slices.ContainsFunc(e.To, isNear) }
	out := m
	out.Edges, out.Each, out.Open = filtered(m.Edges, isAbout), filtered(m.Each, isAbout), []Open{}
	for _, o := range m.Open {
		if isNear(o.Name) {
			out.Open = append(out.Open, o)
		}
	}
	for _, name := range m.names() {
		if isNear(name) && !isWorld(name) {
			near[whole(name)] = 0 // denials are of all in a namespace, too
		}
	}
	out.Denied, out.NotKnown, out.Maybe = pairsAbout(m.Denied, isNear), pairsAbout(m.NotKnown, isNear), map[Pair]bool{}
	for p := range m.Maybe {
		if isNear(p.From) || isNear(p.To) {
			out.Maybe[p] = true
		}
	}
	return out
}

func pairsAbout(pairs []Pairs, isNear func(string) bool) []Pairs {
	var out []Pairs
	for _, p := range pairs {
		if slices.ContainsFunc(p.From, isNear) || slices.ContainsFunc(p.To, isNear) {
			out = append(out, p)
		}
	}
	return out
}

// near says of who is around somebody how many connections away they are, as far as that is less than around.
func (m Map) near(on string, around int) map[string]int {
	near := map[string]int{}
	for _, name := range m.names() {
		if strings.Contains(name, on) {
			near[name] = 0
		}
	}
	edges := slices.Concat(m.Edges, m.Each)
	for distance := 1; distance < around; distance++ {
		var reached []string
		for _, e := range edges {
			for _, ends := range [][2][]string{{e.From, e.To}, {e.To, e.From}} {
				if slices.ContainsFunc(ends[0], func(name string) bool { return isStep(near, name, distance) }) {
					reached = append(reached, ends[1]...)
				}
			}
		}
		for _, name := range reached {
			if _, known := near[name]; !known {
				near[name] = distance
			}
		}
	}
	return near
}

// isStep says whether connections from and to a name are at most so many away: those of who is nearer.
func isStep(near map[string]int, name string, distance int) bool {
	at, known := near[name]
	return known && at < distance && (at == 0 || !isWorld(name))
}

// names are all that a map has.
func (m Map) names() []string {
	var out []string
	for _, e := range slices.Concat(m.Edges, m.Each) {
		out = append(append(out, e.From...), e.To...)
	}
	for _, o := range m.Open {
		out = append(out, o.Name)
	}
	for _, p := range slices.Concat(m.Denied, m.NotKnown) {
		out = append(append(out, p.From...), p.To...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func filtered(edges []Edge, is func(Edge) bool) []Edge {
	out := []Edge{}
	for _, e := range edges {
		if is(e) {
			out = append(out, e)
		}
	}
	return out
}
