package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Pairs are senders and receivers: each of some with each of others. An end is a workload, a tier, who is outside of all
// namespaces, or, as "namespace NAME", all workloads of a namespace.
type Pairs struct {
	From []string `json:"from"`
	To   []string `json:"to"`
}

// Pair is a sender and a receiver, by name.
type Pair struct{ From, To string }

// PairsOf puts pairs together: of two namespaces each of which is in a pair with each of the other, and of senders that have
// the same receivers.
func PairsOf(names []string, is func(Pair) bool) []Pairs {
	members := map[string][]string{} // of a namespace, and of each outside of all
	for _, name := range names {
		in := whole(name)
		members[in] = append(members[in], name)
	}
	groups := slices.Sorted(maps.Keys(members))
	to := map[string][]string{}
	for _, from := range groups {
		for _, receiver := range groups {
			pairs, all := pairsBetween(members[from], members[receiver], is)
			if all && from != receiver {
				to[from] = append(to[from], receiver)
				continue
			}
			for _, p := range pairs {
				to[p.From] = append(to[p.From], p.To)
			}
		}
	}
	return joined(to)
}

// pairsBetween are the pairs of some senders and receivers, and whether those are all.
func pairsBetween(senders, receivers []string, is func(Pair) bool) (pairs []Pair, all bool) {
	all = true
	for _, from := range senders {
		for _, to := range receivers {
			if p := (Pair{from, to}); from != to && is(p) {
				pairs = append(pairs, p)
			} else {
				all = false
			}
		}
	}
	return pairs, all
}

// joined has one item for senders that have the same receivers.
func joined(to map[string][]string) []Pairs {
	var out []Pairs
	index := map[string]int{}
	for _, from := range slices.Sorted(maps.Keys(to)) {
		key := strings.Join(to[from], "\n")
		if i, found := index[key]; found {
			out[i].From = append(out[i].From, from)
			continue
		}
		index[key] = len(out)
		out = append(out, Pairs{From: []string{from}, To: to[from]})
	}
	return out
}

// whole is what all that are in a namespace with somebody are called.
func whole(name string) string {
	if namespace, _ := parted(name); namespace != "" {
		return "namespace " + namespace
	}
	return name
}

// Titles of pairs, for people.
const (
	titleDenied   = "may not connect"
	titleNotKnown = "not known, since only a cluster can say"
)

func writePairs(out io.Writer, title string, pairs []Pairs) {
	for i, p := range pairs {
		if i == 0 {
			fmt.Fprintf(out, "\n%s:\n", title)
		}
		fmt.Fprintf(out, "  %s → %s\n", strings.Join(p.From, ", "), strings.Join(p.To, ", "))
	}
}

func writePairsMarkdown(out io.Writer, title string, pairs []Pairs) {
	code := func(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }
	for i, p := range pairs {
		if i == 0 {
			fmt.Fprintf(out, "\n%s%s:\n\n| from | to |\n| --- | --- |\n", strings.ToUpper(title[:1]), title[1:])
		}
		fmt.Fprintf(out, "| %s | %s |\n", code(p.From), code(p.To))
	}
}
