package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// TooWideError says that a matrix does not fit, and what to do.
type TooWideError struct{ Needs, Has int }

func (e *TooWideError) Error() string {
	return fmt.Sprintf("the matrix needs %d columns and has %d: ask about fewer with --focus, join equal ones with --group always, "+
		"write it whole with --width 0, or look at it with -o html", e.Needs, e.Has)
}

// WriteMapMatrix writes a map as a grid of at most so many columns, or as wide as it is with 0: a row for each sender, and a
// column for each who is reached, under the number that its own row has.
func WriteMapMatrix(out io.Writer, m Map, width int) error {
	w := m.web()
	w.link(m.Each) // whoever has a row may do what everyone may, as far as their own policies allow it
	if len(w.ends) == 0 {
		_, err := fmt.Fprintln(out, "no rule allows a connection")
		return err
	}
	grid := newMatrix(w, m.Open)
	if width > 0 && grid.width() > width {
		grid.abbreviate()
	}
	if needs := grid.width(); width > 0 && needs > width {
		return &TooWideError{Needs: needs, Has: width}
	}
	grid.write(out)
	return m.writeUnknown(out)
}

// matrix is a grid of texts.
type matrix struct {
	web
	labels []string   // of rows
	heads  []string   // of columns
	cells  [][]string // by row
	keys   []string   // what the letters in cells stand for
	free   bool       // whether a cell says that nothing is between two
	marked bool       // whether a row says that it is not isolated
	asks   bool       // whether a cell says that it is not known
}

func newMatrix(w web, open []Open) *matrix {
	grid := &matrix{web: w}
	digits := len(strconv.Itoa(len(w.ends)))
	var reached []string
	for i, name := range w.ends {
		mark := markOf(w.free[name])
		grid.marked = grid.marked || mark != ""
		grid.labels = append(grid.labels, fmt.Sprintf("%*d %s%s", digits, i+1, w.label(name), mark))
		isFree := slices.ContainsFunc(open, func(o Open) bool { return o.Name == name && o.Ingress })
		isReached := func(from string) bool { l := link{from, name}; return len(w.links[l]) > 0 || w.maybe[l] }
		if isFree || slices.ContainsFunc(w.ends, isReached) {
			reached, grid.heads = append(reached, name), append(grid.heads, strconv.Itoa(i+1))
		}
	}
	for _, from := range w.ends {
		row := make([]string, 0, len(reached))
		for _, to := range reached {
			row = append(row, grid.cell(link{from, to}))
		}
		grid.cells = append(grid.cells, row)
	}
	return grid
}

// markOf is what follows the name of who is not isolated.
func markOf(o Open) string {
	switch {
	case o.Ingress && o.Egress:
		return " (ie)"
	case o.Ingress:
		return " (i)"
	case o.Egress:
		return " (e)"
	default:
		return ""
	}
}

// cell is what a sender may say to a receiver: the ports alone of TCP, which most are.
func (g *matrix) cell(l link) string {
	ports := shortPorts(g.among(l))
	if g.maybe[l] {
		g.asks = true
		ports = append(ports, notKnown)
	}
	if len(ports) == 0 {
		if g.isFree(l) {
			g.free = true
			return "*"
		}
		return "."
	}
	return strings.Join(ports, ",")
}

// abbreviate has letters for what is longer than they are.
func (g *matrix) abbreviate() {
	for _, row := range g.cells {
		for i, cell := range row {
			if len(cell) <= 2 {
				continue
			}
			at := slices.Index(g.keys, cell)
			if at < 0 {
				at = len(g.keys)
				g.keys = append(g.keys, cell)
			}
			row[i] = letters(at)
		}
	}
}

// letters number things a, b, ... z, ba, bb.
func letters(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return letters(i/26) + letters(i%26)
}

func (g *matrix) widths() (label int, columns []int) {
	label = len("from \\ to")
	for _, l := range g.labels {
		label = max(label, utf8.RuneCountInString(l)+2)
	}
	for i, head := range g.heads {
		column := len(head)
		for _, row := range g.cells {
			column = max(column, len(row[i]))
		}
		columns = append(columns, column)
	}
	return label, columns
}

func (g *matrix) width() int {
	total, columns := g.widths()
	for _, column := range columns {
		total += 2 + column
	}
	return total
}

func (g *matrix) write(out io.Writer) {
	label, columns := g.widths()
	line := func(name string, cells []string) {
		var b strings.Builder
		fmt.Fprintf(&b, "%-*s", label, name)
		for i, cell := range cells {
			fmt.Fprintf(&b, "  %-*s", columns[i], cell)
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
	}
	line("from \\ to", g.heads)
	before := "\n" // no namespace
	for i, name := range g.ends {
		if namespace, _ := parted(name); namespace != before {
			before = namespace
			fmt.Fprintln(out, heading(namespace))
		}
		line("  "+g.labels[i], g.cells[i])
	}
	g.legend(out)
}

// heading is what stands above those of a namespace.
func heading(namespace string) string {
	if namespace == "" {
		return "elsewhere"
	}
	return "namespace " + namespace
}

func (g *matrix) legend(out io.Writer) {
	fmt.Fprintln(out, "\nA column has the number of a row.\nNo rule allows anything to who has none.")
	for i, key := range g.keys {
		fmt.Fprintf(out, "  %-5s  %s\n", letters(i), key)
	}
	fmt.Fprintln(out, "  8080   a port of TCP; 53/UDP of another\n  TCP    each port of TCP; all of each protocol")
	if g.free {
		fmt.Fprintln(out, "  *      all: no policy isolates either")
	}
	if g.asks {
		fmt.Fprintln(out, "  ?      not known: only a cluster can say")
	}
	fmt.Fprintln(out, "  .      no rule is known to allow anything")
	if g.marked {
		fmt.Fprintln(out, "  (i)    not isolated: ingress; (e) egress; (ie) both")
	}
}
