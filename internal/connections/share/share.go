// Package share keeps lists of connections within a bound so that nobody who causes many of them, or who says that he saw
// many, hides those of others.
package share

import (
	"cmp"
	"slices"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// who causes connections, by the word of a node: a workload, or a pod without one, or an address.
type who struct{ node, namespace, name string }

func causeOf(c connections.Connection) who {
	return who{c.Node, c.Source.Namespace, cmp.Or(c.Source.Workload, c.Source.Pod, c.Source.Address)}
}

// ranked is a connection's place in line: a node's first is ahead of every node's second, whatever nodes say.
type ranked struct{ place, at int }

// Keep returns the connections that fit into a budget, the latest last, and how many do not. The nodes that saw them share it
// alike, and others have what one does not need. Of a node, each source has its latest one in before any has its second.
func Keep(items []connections.Connection, budget int, size func(connections.Connection) int) (kept []connections.Connection, left int) {
	sorted := slices.Clone(items)
	slices.SortFunc(sorted, func(a, b connections.Connection) int { return -ByTime(a, b) })
	for _, next := range line(sorted) {
		takes := size(sorted[next.at])
		if takes > budget { // one that is big makes no space for those behind it
			left++
			continue
		}
		budget -= takes
		kept = append(kept, sorted[next.at])
	}
	slices.SortFunc(kept, ByTime)
	return kept, left
}

// line says in which order connections are kept, of those that are sorted by time, the latest first.
func line(sorted []connections.Connection) []ranked {
	order := make([]ranked, len(sorted))
	turns := map[who]int{}
	for i, c := range sorted {
		order[i] = ranked{turns[causeOf(c)], i}
		turns[causeOf(c)]++
	}
	inTurn := func(a, b ranked) int { return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.at, b.at)) }
	slices.SortFunc(order, inTurn)
	places := map[string]int{}
	for i, next := range order {
		node := sorted[next.at].Node
		order[i].place = places[node]
		places[node]++
	}
	slices.SortFunc(order, inTurn)
	return order
}

// One is the size of a connection where they are counted.
func One(connections.Connection) int { return 1 }

// ByTime sorts the latest last.
func ByTime(a, b connections.Connection) int {
	return cmp.Or(a.Last.Compare(b.Last.Time), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Name, b.Name))
}
