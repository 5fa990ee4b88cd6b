package seen

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/cli/seen/words"
)

// overlap is how far back it is looked each time: clocks differ, and a node that did not answer may the next time.
const overlap = 30 * time.Second

// following is what was shown.
type following struct {
	shown   map[string]shown
	missing []string
	latest  time.Time
	trouble string
}

type shown struct {
	count int64
	last  time.Time
}

// follow shows what is seen, and then each second what is new, until the context ends.
func (o *options) follow(ctx context.Context, from source, w wanted) error {
	f := following{shown: map[string]shown{}}
	p := o.printer(ctx, from)
	since := w.since(o.now())
	list, err := from.list(ctx, since)
	if err != nil {
		return err
	}
	ticks, stop := o.ticks()
	defer stop()
	wasMissing := list.Missing
	for {
		if err := o.news(&f, p, w, list); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return answerOf(wasMissing)
		case _, goesOn := <-ticks:
			if !goesOn {
				return answerOf(wasMissing)
			}
		}
		if from := earlier(f.latest, o.now()).Add(-overlap); from.After(since) {
			since = from
		}
		next, err := from.list(ctx, since)
		if ctx.Err() != nil {
			continue
		}
		o.tellTrouble(&f, err)
		if err == nil {
			list, wasMissing = next, append(wasMissing, next.Missing...)
			wasMissing = wasMissing[:min(len(wasMissing), 1)]
		}
	}
}

// earlier is because one node's clock may be far ahead.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// tellTrouble says that the cluster does not answer, once.
func (o *options) tellTrouble(f *following, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != f.trouble && text != "" {
		fmt.Fprintf(o.streams.ErrOut, "%s; trying again\n", text)
	}
	f.trouble = text
}

// news prints what is new, or was seen again.
func (o *options) news(f *following, p *printer, w wanted, list connections.ConnectionList) error {
	p.today = o.now().Local()
	for _, c := range w.of(list, o.now()).Items {
		key := c.Namespace + "/" + c.Name + "@" + c.Node
		now := shown{c.Count, c.Last.Time}
		if f.shown[key] == now {
			continue
		}
		f.shown[key] = now
		if c.Last.After(f.latest) {
			f.latest = c.Last.Time
		}
		if o.output != "json" {
			p.line(c)
			continue
		}
		c.SetGroupVersionKind(connections.GroupVersion.WithKind("Connection"))
		if err := json.NewEncoder(o.streams.Out).Encode(c); err != nil {
			return fmt.Errorf("printing connections: %w", err)
		}
	}
	for key, was := range f.shown { // what is not listed any more
		if was.last.Before(f.latest.Add(-2*overlap)) && was.last.Before(w.since(o.now())) {
			delete(f.shown, key)
		}
	}
	var missing []string
	for _, m := range list.Missing {
		m.Count = 0 // it rises
		missing = append(missing, words.Missing(m))
	}
	for _, note := range list.Notes {
		missing = append(missing, words.Note(note))
	}
	for _, text := range missing {
		if !slices.Contains(f.missing, text) {
			fmt.Fprintln(o.streams.ErrOut, text)
		}
	}
	f.missing = missing
	return nil
}
