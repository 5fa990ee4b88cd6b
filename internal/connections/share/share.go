// Package share keeps lists of connections within a bound so that nobody who causes many of them hides those of others.
package share

import (
	"cmp"
	"slices"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// who causes connections: a workload, or a pod without one, or an address.
type who struct{ namespace, name string }

func causeOf(c connections.Connection) who {
	return who{c.Source.Namespace, cmp.Or(c.Source.Workload, c.Source.Pod, c.Source.Address)}
}

// Keep returns the connections that fit into a budget, the latest last, and how many do not. Each source has
// its latest one in before any has its second.
func Keep(items []connections.Connection, budget int, size func(connections.Connection) int) (kept []connections.Connection, left int) {
	sorted := slices.Clone(items)
	slices.SortFunc(sorted, func(a, b connections.Connection) int { return -ByTime(a, b) })
	type ranked struct{ turn, at int }
	order := make([]ranked, len(sorted))
	turns := map[who]int{}
	for i, c := range sorted {
		order[i] = ranked{turns[causeOf(c)], i}
		turns[causeOf(c)]++
	}
	slices.SortFunc(order, func(a, b ranked) int { return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.at, b.at)) })
	for _, next := range order {
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

// One is the size of a connection where they are counted.
func One(connections.Connection) int { return 1 }

// ByTime sorts the latest last.
func ByTime(a, b connections.Connection) int {
	return cmp.Or(a.Last.Compare(b.Last.Time), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Name, b.Name))
}
