package seen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/cli/seen/words"
)

// print prints a list.
func (o *options) print(ctx context.Context, from source, list connections.ConnectionList, w wanted) error {
	if o.output == "json" {
		list.SetGroupVersionKind(connections.GroupVersion.WithKind("ConnectionList"))
		encoder := json.NewEncoder(o.streams.Out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(list); err != nil {
			return fmt.Errorf("printing connections: %w", err)
		}
		return nil
	}
	if len(list.Items) == 0 {
		o.none(w, len(list.Missing) > 0)
		return nil
	}
	p := o.printer(ctx, from)
	for _, c := range list.Items {
		p.line(c)
	}
	return nil
}

// none says that nothing was found, and where to look if something should have been.
func (o *options) none(w wanted, isPartial bool) {
	where, when, far := "in any namespace", "", ""
	if w.namespace != "" {
		where = "in namespace " + w.namespace
	}
	if w.last > 0 {
		when = " in the last " + shortly(w.last)
	}
	if w.end != "" {
		far = " of " + w.end
	}
	known := "No connection%s was %s %s%s.\n"
	if isPartial {
		known = "No connection%s is known to have been %s %s%s.\n"
	}
	fmt.Fprintf(o.streams.Out, known, far, o.what, where, when)
	if o.file == "" {
		fmt.Fprintln(o.streams.ErrOut, "If some should have been: kubectl apptier doctor says whether an enforcer runs on each node "+
			"and sees this network's packets.")
	}
}

// shortly is a duration without what is zero of it.
func shortly(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// printer prints lines.
type printer struct {
	out       io.Writer
	isWide    bool
	today     time.Time
	explained map[[2]string]bool
	isGone    func(connections.End) bool
}

func (o *options) printer(ctx context.Context, from source) *printer {
	return &printer{
		out: o.streams.Out, isWide: o.output == "wide", today: o.now().Local(), explained: map[[2]string]bool{}, isGone: gone(ctx, from),
	}
}

// mostLookups is how many pods are looked for: each is a request.
const mostLookups = 50

// gone says which ends' pods are known to be gone, and asks once about each.
func gone(ctx context.Context, from source) func(connections.End) bool {
	known := map[string]bool{}
	return func(e connections.End) bool {
		name := e.Namespace + "/" + e.Pod
		if _, asked := known[name]; !asked && from.isGone != nil && len(known) < mostLookups {
			known[name] = from.isGone(ctx, e.Namespace, e.Pod)
		}
		return known[name]
	}
}

// line prints a connection, and for the first of two ends what explains it.
func (p *printer) line(c connections.Connection) {
	at := p.clock(c.Last.Time)
	fmt.Fprintf(p.out, "%s %s\n", at, words.Line(c))
	indent := strings.Repeat(" ", len(at)+1)
	if p.isWide {
		fmt.Fprintf(p.out, "%sfirst %s, on node %s, %s → %s\n", indent, p.clock(c.First.Time), c.Node, c.Source.Address, c.Destination.Address)
		for _, policy := range c.Because {
			fmt.Fprintf(p.out, "%sbecause of %s %s\n", indent, policy.Kind, policy.Name)
		}
	}
	pair := [2]string{words.Pair(c.Source), words.Pair(c.Destination)}
	if c.Verdict == connections.Allowed || c.Direction == "" || p.explained[pair] {
		return
	}
	p.explained[pair] = true
	pods := words.OnlyPods(c)
	if i := slices.IndexFunc(pods, p.isGone); i >= 0 {
		fmt.Fprintf(p.out, "%s%s\n", indent, words.Gone(pods[i]))
		return
	}
	fmt.Fprintf(p.out, "%s%s\n", indent, words.Explain(c))
}

// clock is the time of day, after the day if it is another one.
func (p *printer) clock(at time.Time) string {
	at = at.Local()
	if at.Format(time.DateOnly) != p.today.Format(time.DateOnly) {
		return at.Format(time.DateTime)
	}
	return at.Format(time.TimeOnly)
}

// tellMissing says what was not seen, and what was not asked about.
func tellMissing(out io.Writer, list connections.ConnectionList) {
	for _, m := range list.Missing {
		fmt.Fprintln(out, words.Missing(m))
	}
	for _, note := range list.Notes {
		fmt.Fprintln(out, words.Note(note))
	}
}
