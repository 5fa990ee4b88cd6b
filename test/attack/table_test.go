package attack

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/apptier/apptier/enforcer/health"
)

var printTable = flag.Bool("table", false, "print a table of all attacks")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *printTable {
		if err := results.print(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// result is a line of the table.
type result struct {
	attack, by, wiring    string
	without, with, beside bool
	unjudged              health.Reason // attack's
}

// log is what came of all attacks.
type log struct {
	mu    sync.Mutex
	lines []result // guarded by mu
}

var results log

func (l *log) add(r result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, r)
}

func (l *log) print(to io.Writer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(l.lines, func(a, b result) int {
		return cmp.Or(cmp.Compare(a.by, b.by), cmp.Compare(a.attack, b.attack), cmp.Compare(a.wiring, b.wiring))
	})
	passes := map[bool]string{true: "gets through", false: "does not"}
	works := map[bool]string{true: "works", false: "BROKEN"}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ATTACK\tBY\tWIRING\tWITHOUT RULES\tWITH RULES\tALLOWED BESIDE")
	for _, r := range l.lines {
		with := passes[r.with]
		if r.unjudged != "" {
			with += ", and the node is not ready: " + string(r.unjudged)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.attack, r.by, r.wiring, passes[r.without], with, works[r.beside])
	}
	return w.Flush()
}
