package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
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
	Meaning string `json:"meaning"`
	// Selectors are those of a set of several peers, sorted.
	Selectors []string `json:"selectors,omitempty"`
	Members   []Member `json:"members"`
}

// Member is an element of a set: an address, a range, a port, or several of them.
type Member struct {
	Value string `json:"value"`
	// Pod is "namespace/name" of the pod whose address it is, if it is one's; of several, separated by
	// commas, while they all claim it.
	Pod string `json:"pod,omitempty"`
}

// String returns the member as text, such as "10.244.0.2 (shop/web-0)".
func (m Member) String() string {
	if m.Pod == "" {
		return m.Value
	}
	return m.Value + " (" + m.Pod + ")"
}

// Dump returns the groups, sets and problems, all sorted; no list is null in JSON.
func (r Ruleset) Dump() Dump {
	d := Dump{Groups: append([]Group{}, r.Groups...), Sets: []Set{}, Problems: []string{}}
	owners := map[string]string{}
	for address, p := range r.compiler.owners.sole {
		owners[address.String()] = p.String()
	}
	for address, contested := range r.compiler.owners.contested {
		owners[address.String()] = listed(contested.holders)
	}
	sets := r.compiler.journal.Table().Sets
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		set := sets[name]
		if set.Value != "" {
			continue // the verdict maps say what the groups say
		}
		members := []Member{}
		for _, key := range slices.Sorted(maps.Keys(set.Elements)) {
			address, _, _ := strings.Cut(key, nft.Key("", ""))
			members = append(members, Member{Value: key, Pod: owners[address]})
		}
		d.Sets = append(d.Sets, Set{Name: name, Meaning: set.Comment, Selectors: r.compiler.union(name), Members: members})
	}
	for _, p := range r.Problems {
		d.Problems = append(d.Problems, p.Error())
	}
	return d
}

// union returns the selectors of a set of several peers.
func (c *Compiler) union(name string) []string {
	u := c.setRefs[name]
	if u == nil || !u.merged {
		return nil
	}
	return slices.Sorted(maps.Keys(u.selectors))
}
