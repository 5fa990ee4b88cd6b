package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Joined or not, a map says the same of each sender, receiver and port.
func TestGroupsSayTheSame(t *testing.T) {
	name := rapid.SampledFrom([]string{"a/one", "a/two", "a/three", "b/one", "b/two", "b/three", internet, "10.0.0.0/8"})
	rapid.Check(t, func(t *rapid.T) {
		var m Map
		names := rapid.SliceOfNDistinct(name, 1, 4, rapid.ID[string])
		for range rapid.IntRange(0, 8).Draw(t, "edges") {
			e := Edge{From: names.Draw(t, "from"), To: names.Draw(t, "to"), Ports: []string{rapid.SampledFrom([]string{"TCP 1", "UDP 2"}).Draw(t, "port")}}
			e.Line = rapid.IntRange(0, 2).Draw(t, "line")
			m.Edges = append(m.Edges, e)
		}
		m.Each = m.Edges
		for _, open := range names.Draw(t, "open") {
			m.Open = append(m.Open, Open{Name: open, Ingress: rapid.Bool().Draw(t, "ingress"), Egress: true})
		}
		grouped := m.Grouped("always")
		if got, want := said(grouped.Edges), said(m.Edges); got != want {
			t.Fatalf("grouped:\n%s\nwant:\n%s", got, want)
		}
	})
}

func said(edges []Edge) string {
	lines := map[string]bool{}
	for _, e := range edges {
		for _, from := range e.From {
			for _, to := range e.To {
				for _, port := range e.Ports {
					lines[fmt.Sprint(from, " ", to, " ", port)] = true
				}
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(lines)), "\n")
}

// Of many that are alike, pictures and matrices have one, unless somebody wants them all.
func TestManyAreGrouped(t *testing.T) {
	var m Map
	for i := range 500 {
		team := fmt.Sprintf("team-%d", i/100)
		m.Edges = append(m.Edges, Edge{From: []string{fmt.Sprintf("%s/worker-%03d", team, i)}, To: []string{team + "/queue"}, Ports: []string{"TCP 5672"}})
	}
	for when, want := range map[string]int{"auto": 10, "always": 10, "never": 505} {
		var matrix strings.Builder
		grouped := m.Grouped(when)
		nodes, _ := grouped.picture()
		if err := WriteMapMatrix(&matrix, grouped, 80); err != nil || len(nodes) != want {
			t.Errorf("%s: %d nodes, want %d, and a matrix: %v", when, len(nodes), want, err)
		}
		if is := strings.Contains(matrix.String(), "worker-000, worker-001 and 98 more"); is != (when != "never") {
			t.Errorf("%s:\n%s", when, matrix.String())
		}
	}
	if small := (Map{Edges: m.Edges[:20]}).Grouped("auto"); len(small.Edges) != 20 {
		t.Errorf("20 workloads are grouped: %v", small.Edges)
	}
}
