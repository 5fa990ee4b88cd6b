package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Denied are pairs that may not connect on any port: each of some with each of others. An end is a workload, a tier, who is
// outside of all namespaces, or, as "namespace NAME", all workloads of a namespace.
type Denied struct {
	From []string `json:"from"`
	To   []string `json:"to"`
}

// Pair is a sender and a receiver, by name.
type Pair struct{ From, To string }

// DeniedOf puts pairs together: of two namespaces none of which may reach any of the other, and of senders that may not reach
// the same.
func DeniedOf(names []string, isDenied func(Pair) bool) []Denied {
	members := map[string][]string{} // of a namespace, and of each outside of all
	for _, name := range names {
		in := whole(name)
		members[in] = append(members[in], name)
	}
	groups := slices.Sorted(maps.Keys(members))
	to := map[string][]string{}
	for _, from := range groups {
		for _, receiver := range groups {
			pairs, all := deniedBetween(members[from], members[receiver], isDenied)
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

// deniedBetween are the pairs of senders and receivers that may not connect, and whether those are all.
func deniedBetween(senders, receivers []string, isDenied func(Pair) bool) (pairs []Pair, all bool) {
	all = true
	for _, from := range senders {
		for _, to := range receivers {
			if p := (Pair{from, to}); from != to && isDenied(p) {
				pairs = append(pairs, p)
			} else {
				all = false
			}
		}
	}
	return pairs, all
}

// joined has one item for senders that may not reach the same.
func joined(to map[string][]string) []Denied {
	var out []Denied
	index := map[string]int{}
	for _, from := range slices.Sorted(maps.Keys(to)) {
		key := strings.Join(to[from], "\n")
		if i, found := index[key]; found {
			out[i].From = append(out[i].From, from)
			continue
		}
		index[key] = len(out)
		out = append(out, Denied{From: []string{from}, To: to[from]})
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

func (m Map) writeDenied(out io.Writer) {
	for i, d := range m.Denied {
		if i == 0 {
			fmt.Fprintln(out, "\nmay not connect:")
		}
		fmt.Fprintf(out, "  %s → %s\n", strings.Join(d.From, ", "), strings.Join(d.To, ", "))
	}
}

func (m Map) writeDeniedMarkdown(out io.Writer) {
	code := func(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }
	for i, d := range m.Denied {
		if i == 0 {
			fmt.Fprint(out, "\nMay not connect:\n\n| from | to |\n| --- | --- |\n")
		}
		fmt.Fprintf(out, "| %s | %s |\n", code(d.From), code(d.To))
	}
}
