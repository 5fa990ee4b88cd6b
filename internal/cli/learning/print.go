package learning

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/learn"
)

func (o *options) print(streams genericiooptions.IOStreams, seen *records, learned learn.Result) error {
	var err error
	if o.output == "json" {
		err = writeJSON(streams.Out, seen, learned)
	} else {
		err = o.writeYAML(streams.Out, learned)
	}
	o.writeReport(streams.ErrOut, seen, learned)
	return err
}

// printed is an AppTier without what only a cluster writes.
func printed(app *v1alpha1.AppTier) *v1alpha1.AppTier {
	out := &v1alpha1.AppTier{TypeMeta: app.TypeMeta, Spec: app.Spec}
	out.APIVersion, out.Kind = v1alpha1.GroupVersion.String(), "AppTier"
	out.Namespace, out.Name, out.Labels = app.Namespace, app.Name, app.Labels
	out.Annotations = maps.Clone(app.Annotations)
	delete(out.Annotations, "kubectl.kubernetes.io/last-applied-configuration")
	return out
}

func (o *options) writeYAML(out io.Writer, learned learn.Result) error {
	for i, app := range learned.AppTiers {
		comments := map[string][]string{}
		for _, g := range groundsOf(app, learned) {
			line := o.groundWords(g)
			if learned.Changed[g.AppTier] {
				line = "added: " + line
			}
			comments[g.Path] = append(comments[g.Path], line)
		}
		text, err := report.CommentedYAML(printed(app), comments)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(out, "---")
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	return nil
}

func groundsOf(app *v1alpha1.AppTier, learned learn.Result) []learn.Ground {
	return slices.DeleteFunc(slices.Clone(learned.Grounds), func(g learn.Ground) bool { return g.AppTier != kube.NameOf(app) })
}

// groundWords say what a rule rests on.
func (o *options) groundWords(g learn.Ground) string {
	side := "from"
	if g.Direction == networkingv1.PolicyTypeEgress {
		side = "to"
	}
	text := fmt.Sprintf("%s %s, %s %d: %s", side, g.Peer, g.Protocol, g.Port, seenWords(g.Seen))
	if g.Doubtful {
		text += fmt.Sprintf("; doubtful: fewer than %d", o.minCount)
	}
	return text
}

// seenWords say how often something was seen, and when.
func seenWords(s learn.Seen) string {
	text := counted(s.Count, "connection")
	first, last := s.First.UTC().Format(time.RFC3339), s.Last.UTC().Format(time.RFC3339)
	switch {
	case s.First.IsZero():
		return text
	case first == last:
		return text + ", at " + first
	default:
		return fmt.Sprintf("%s, from %s to %s", text, first, last)
	}
}

func counted(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// mostLines is how many lines of a kind are printed for people.
const mostLines = 20

func list(out io.Writer, lines []string) {
	for i, line := range lines {
		if i == mostLines {
			fmt.Fprintf(out, "and %d more; -o json prints all\n", len(lines)-i)
			return
		}
		fmt.Fprintln(out, printable(line))
	}
}

// printable is text without what a terminal would obey: names in the input are anybody's.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, line)
}

// writeReport says what was added, what was left out, and how much there was.
func (o *options) writeReport(out io.Writer, seen *records, learned learn.Result) {
	seen.writeProblems(out)
	var added, left, missing, unknown, unseen []string
	for _, g := range learned.Grounds {
		if learned.Changed[g.AppTier] {
			added = append(added, fmt.Sprintf("added to %s: %s", where(g), o.groundWords(g)))
		}
	}
	for _, l := range learned.LeftOut {
		port := fmt.Sprintf("%s %d", l.Protocol, l.Port)
		left = append(left, fmt.Sprintf("left out: %s → %s %s: %s (%s)", l.From, l.To, port, l.Reason, counted(l.Seen.Count, "connection")))
	}
	for _, m := range seen.missing {
		missing = append(missing, "missing: "+m)
	}
	if seen.lost > 0 {
		missing = append(missing, fmt.Sprintf("missing: %d flows that Hubble lost", seen.lost))
	}
	for _, name := range learned.Unseen {
		unseen = append(unseen, "no connection of it was seen, so it is in no tier: "+name.String())
	}
	for _, address := range learned.Unknown {
		unknown = append(unknown, fmt.Sprintf("note: no pod, Service or node that is given has the address %s, so it stays an address", address))
	}
	for _, lines := range [][]string{added, left, missing, unknown, unseen} {
		list(out, lines)
	}
	for _, why := range slices.Sorted(maps.Keys(seen.ignored)) {
		fmt.Fprintf(out, "not read: %s (%d)\n", printable(why), seen.ignored[why])
	}
	fmt.Fprintln(out, summary(learned))
}

func (r *records) writeProblems(out io.Writer) {
	var lines []string
	for _, p := range r.problems {
		lines = append(lines, p.String())
	}
	list(out, lines)
}

func where(g learn.Ground) string {
	return strings.TrimSuffix(fmt.Sprintf("%s tier %s", g.AppTier, cmp.Or(g.Tier, "every")), " ")
}

func summary(learned learn.Result) string {
	tiers, doubtful, changed := 0, 0, len(learned.Changed)
	for _, app := range learned.AppTiers {
		if !learned.Changed[kube.NameOf(app)] {
			tiers += len(app.Spec.Tiers)
		}
	}
	for _, g := range learned.Grounds {
		if g.Doubtful {
			doubtful++
		}
	}
	text := counted(learned.Connections, "connection") + ": "
	declared := learned.Declared
	switch made := int64(len(learned.AppTiers) - changed); {
	case len(learned.AppTiers) == 0 && learned.Connections > 0 && learned.Connections == declared+learned.DNS:
		text, declared = text+"all are declared already", 0
	case len(learned.AppTiers) == 0:
		text += "nothing to declare"
	case changed == 0:
		text += fmt.Sprintf("%s with %s", counted(made, "AppTier"), counted(int64(tiers), "tier"))
	case made == 0:
		text += fmt.Sprintf("%s to change", counted(int64(changed), "AppTier"))
	default:
		text += fmt.Sprintf("%s with %s, and %d to change", counted(made, "AppTier"), counted(int64(tiers), "tier"), changed)
	}
	for _, part := range []struct {
		n    int64
		what string
	}{
		{declared, "declared already"}, {learned.DNS, "left to dns"}, {int64(doubtful), "doubtful"},
		{int64(len(learned.LeftOut)), "left out"}, {learned.Denied, "denied, and so not learned"},
	} {
		if part.n > 0 {
			text += fmt.Sprintf("; %d %s", part.n, part.what)
		}
	}
	return text
}

// jsonGround is a ground, for programs.
type jsonGround struct {
	AppTier   string     `json:"appTier"`
	Tier      string     `json:"tier,omitempty"`
	Direction string     `json:"direction"`
	Path      string     `json:"path"`
	Peer      string     `json:"peer"`
	Protocol  string     `json:"protocol"`
	Port      int32      `json:"port"`
	Count     int64      `json:"count"`
	First     *time.Time `json:"first,omitempty"`
	Last      *time.Time `json:"last,omitempty"`
	Doubtful  bool       `json:"doubtful"`
	Added     bool       `json:"added"`
}

// jsonLeftOut is what was left out, for programs.
type jsonLeftOut struct {
	From     string     `json:"from"`
	To       string     `json:"to"`
	Protocol string     `json:"protocol"`
	Port     int32      `json:"port"`
	Count    int64      `json:"count"`
	First    *time.Time `json:"first,omitempty"`
	Last     *time.Time `json:"last,omitempty"`
	Reason   string     `json:"reason"`
}

func said(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func writeJSON(out io.Writer, seen *records, learned learn.Result) error {
	apps, grounds, left := []*v1alpha1.AppTier{}, []jsonGround{}, []jsonLeftOut{}
	changed, unknown, unseen, unread := []string{}, []string{}, []string{}, []string{}
	for _, app := range learned.AppTiers {
		apps = append(apps, printed(app))
	}
	for _, g := range learned.Grounds {
		grounds = append(grounds, jsonGround{
			g.AppTier.String(), g.Tier, string(g.Direction), g.Path, g.Peer, string(g.Protocol), g.Port, g.Seen.Count, said(g.Seen.First),
			said(g.Seen.Last), g.Doubtful, g.Added,
		})
	}
	for _, l := range learned.LeftOut {
		left = append(left, jsonLeftOut{
			l.From, l.To, string(l.Protocol), l.Port, l.Seen.Count, said(l.Seen.First), said(l.Seen.Last), l.Reason,
		})
	}
	byName := func(a, b types.NamespacedName) int { return cmp.Compare(a.String(), b.String()) }
	for _, name := range slices.SortedFunc(maps.Keys(learned.Changed), byName) {
		changed = append(changed, name.String())
	}
	for _, name := range learned.Unseen {
		unseen = append(unseen, name.String())
	}
	for _, address := range learned.Unknown {
		unknown = append(unknown, address.String())
	}
	for _, p := range seen.problems {
		unread = append(unread, p.String())
	}
	return report.WriteJSON(out, map[string]any{
		"appTiers": apps, "changed": changed, "grounds": grounds, "leftOut": left, "unknown": unknown, "unseen": unseen, "unread": unread,
		"missing": append([]string{}, seen.missing...), "connections": learned.Connections, "declared": learned.Declared,
		"dns": learned.DNS, "denied": learned.Denied,
	})
}
