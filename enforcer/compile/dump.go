package compile

import (
	"maps"
	"slices"
)

// Dump is a ruleset for people and their tools.
type Dump struct {
	Groups   []Group  `json:"groups"`
	Sets     []Set    `json:"sets"`
	Problems []string `json:"problems"`
}

// Set is one set of peers or ports that rules look up.
type Set struct {
	Name string `json:"name"`
	// Meaning is the selector or the blocks that the set stands for.
	Meaning string   `json:"meaning"`
	Members []string `json:"members"`
}

// Dump returns the groups, sets and problems, all sorted; no list is null in JSON.
func (r Ruleset) Dump() Dump {
	d := Dump{Groups: append([]Group{}, r.Groups...), Sets: []Set{}, Problems: []string{}}
	for _, name := range slices.Sorted(maps.Keys(r.table.Sets)) {
		set := r.table.Sets[name]
		if set.Value != "" {
			continue // the verdict maps say what the groups say
		}
		members := append([]string{}, slices.Sorted(maps.Keys(set.Elements))...)
		d.Sets = append(d.Sets, Set{Name: name, Meaning: set.Comment, Members: members})
	}
	for _, p := range r.Problems {
		d.Problems = append(d.Problems, p.Error())
	}
	return d
}
