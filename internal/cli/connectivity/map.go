// Package connectivity shows who may reach whom: it is the command map.
//
// A map is the difference between the policies and the same policies without their rules (package diff).
package connectivity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/diff"
	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// mapOptions are the flags of map.
type mapOptions struct {
	ask.Options
	output, focus string
	group         string
	dns, denied   bool
	width, around int
}

// groupings are the values of map's flag --group.
var groupings = []string{"auto", "never", "always"}

// terminalWidth is the value of --width that stands for the terminal's.
const terminalWidth = -1

// writers are the values of map's flag --output.
func (o *mapOptions) writers() map[string]func(io.Writer, report.Map) error {
	return map[string]func(io.Writer, report.Map) error{
		"table": report.WriteMap, "md": report.WriteMapMarkdown, "mermaid": report.WriteMapMermaid,
		"dot": report.WriteMapDot, "json": report.WriteMapJSON, "matrix": o.writeMatrix,
		"svg": report.WriteMapSVG, "html": report.WriteMapHTML,
	}
}

func (o *mapOptions) writeMatrix(out io.Writer, m report.Map) error {
	width := o.width
	if width == terminalWidth {
		width = widthOf(out)
	}
	return report.WriteMapMatrix(out, m, width)
}

// widthOf is how many columns a terminal has; 0, which is as many as one likes, if it is none.
func widthOf(out io.Writer) int {
	file, isFile := out.(*os.File)
	if !isFile {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// NewCommand returns the command map.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var o mapOptions
	cmd := &cobra.Command{
		Use:   "map (FILE|DIRECTORY|-... | -k DIRECTORY | --cluster)",
		Short: "Show who may reach whom",
		Long: `Show who may reach whom, by workload and tier, on which ports, and which rule says so.

A connection is listed if one of its ends is isolated in its direction and rules allow it. Who is not isolated reaches,
or is reached by, everybody whose own policies allow it: these are named, and not drawn. Pods that a peer describes and
that nobody gave are in it, as are addresses, by the ranges that policies tell apart, and a pod of another namespace.

Without files, the cluster is asked with --cluster; with both, it is taken as it would be with the files applied.`,
		Example: `  # Who may reach whom, with these manifests?
  kubectl apptier map manifests/ -R

  # The same as a grid: senders beside it, receivers above
  kubectl apptier map manifests/ -R -o matrix

  # As a page to search and to click through, and as a picture
  kubectl apptier map manifests/ -R -o html > reach.html
  kubectl apptier map manifests/ -R -o svg > reach.svg

  # As a picture in Markdown, or by graphviz
  kubectl apptier map -k overlays/production -o mermaid
  kubectl apptier map --cluster -o dot | dot -Tpdf > reach.pdf

  # Of many workloads, those that reach the same and are reached by the same as one
  kubectl apptier map --cluster --group always

  # All that is about the database, and about those who reach it and whom it reaches
  kubectl apptier map --cluster --focus database
  kubectl apptier map --cluster --focus database --around 2

  # Who may not reach whom?
  kubectl apptier map manifests/ -R --denied`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Input.AddFiles(args...)
			return o.run(cmd.Context(), streams)
		},
	}
	o.AddFlags(cmd, "Show the cluster, or with files the cluster as it would be with them.")
	flags.Choice(cmd, &o.output, "output", "o", "table", "How to print", "table", "matrix", "md", "mermaid", "dot", "svg", "html", "json")
	cmd.Flags().StringVar(&o.focus, "focus", "", "Show only connections of which an end has this in its name, such as shop/ or database.")
	cmd.Flags().IntVar(&o.around, "around", 1, "With --focus: how many connections away from it, in either direction, is shown.")
	cmd.Flags().BoolVar(&o.denied, "denied", false, "List who may not connect on any port too. In a matrix, that is where nothing is.")
	cmd.Flags().BoolVar(&o.dns, "dns", false, "Show who may ask the cluster's DNS too, which nearly everybody may.")
	flags.Choice(cmd, &o.group, "group", "", groupings[0], "Show those of a namespace that reach the same and are reached by the "+
		"same as one, with auto in a matrix or a picture of more than 40", groupings...)
	cmd.Flags().IntVar(&o.width, "width", terminalWidth,
		"The columns that -o matrix may take: 0 for as many as it needs, -1 for the terminal's.")
	return cmd
}

func (o *mapOptions) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	write, err := flags.Chosen(o.writers(), o.output)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	namespace, err := o.Namespace()
	if err != nil {
		return err
	}
	s, _, err := o.Read(ctx, streams.In, namespace, ask.Everything()...)
	if err != nil {
		return err
	}
	report.WriteFindings(streams.ErrOut, s.NotJudged())
	q, err := o.Look(ctx, streams, s, nil)
	if err != nil {
		return err
	}
	scene.TellPartly(streams.ErrOut, q.Snapshot)
	drawn, err := mapOf(ctx, q, o.dns, o.denied)
	if err != nil {
		return err
	}
	if err := write(streams.Out, drawn.Focus(o.focus, o.around).Grouped(o.grouped())); err != nil {
		return fmt.Errorf("printing the map: %w", err)
	}
	return nil
}

// check says which flags do not go together.
func (o *mapOptions) check() error {
	if o.width < terminalWidth {
		return fmt.Errorf("--width %d is no number of columns: use one from 0, or -1 for the terminal's", o.width)
	}
	if !slices.Contains(groupings, o.group) {
		return fmt.Errorf("--group %q is not known: use %s", o.group, strings.Join(groupings, ", "))
	}
	if o.around < 1 {
		return fmt.Errorf("--around %d is no number of connections: use one from 1", o.around)
	}
	if o.around > 1 && o.focus == "" {
		return errors.New("--around is about who is around somebody: say who with --focus")
	}
	if o.denied && slices.Contains([]string{"mermaid", "dot", "svg"}, o.output) {
		return fmt.Errorf("--denied is not for -o %s, in which it would hide what is allowed: use table, matrix, md, json or html", o.output)
	}
	return nil
}

// grouped is when equal ends are joined. Tables and programs get all of them unless somebody asks, with the lines of each.
func (o *mapOptions) grouped() string {
	if o.group == "auto" && slices.Contains([]string{"table", "md", "json"}, o.output) {
		return "never"
	}
	return o.group
}

// view is what is drawn, and what its ends are called.
type view struct {
	*ask.Question
	diff.Describer
}

// mapOf is who may reach whom: what rules open, compared with the same policies without any.
func mapOf(ctx context.Context, q *ask.Question, dns, denied bool) (report.Map, error) {
	diff.Complete(q)
	s := view{q, diff.DescriberOf([2]*ask.Question{q, q})}
	closed := s.Snapshot
	closed.Policies = nil
	for _, policy := range s.Snapshot.Policies {
		closed.Policies = append(closed.Policies, kube.WithoutRules(policy))
	}
	result, err := compare.States(ctx, closed, s.Snapshot, scene.ToldApart(s.Snapshot))
	if err != nil {
		return report.Map{}, err
	}
	changes := diff.Describe([2]*ask.Question{q, q}, result)
	out := report.Map{Edges: []report.Edge{}, Open: s.notIsolated(), Unknown: changes.Unknown, Free: s.free()}
	if denied {
		out.Denied = s.denied(result)
	}
	out.Maybe, out.NotKnown = s.notKnown(result, dns)
	for _, c := range changes.Changes {
		if e := (report.Edge{From: c.From, To: c.To, Ports: c.Ports, File: c.File, Line: c.Line}); dns || !isDNS(e) {
			out.Edges = append(out.Edges, e)
		}
	}
	out.Each = out.Edges
	out.Edges = folded(folded(out.Edges, func(e *report.Edge) *[]string { return &e.From }), func(e *report.Edge) *[]string { return &e.To })
	return out, nil
}

// isDNS says whether connections are to the ports of DNS alone.
func isDNS(e report.Edge) bool {
	return !slices.ContainsFunc(e.Ports, func(port string) bool { return port != "TCP 53" && port != "UDP 53" })
}

// folded has one edge for those at one end of which anybody may be: any address, and any pod of any namespace.
func folded(edges []report.Edge, end func(*report.Edge) *[]string) []report.Edge {
	key := func(e report.Edge) string {
		*end(&e) = nil
		return fmt.Sprint(e)
	}
	ends := map[string][]string{}
	for _, e := range edges {
		ends[key(e)] = append(ends[key(e)], *end(&e)...)
	}
	var out []report.Edge
	done := map[string]bool{}
	for _, e := range edges {
		k := key(e)
		if slices.Contains(ends[k], report.AnyAddress) && slices.Contains(ends[k], report.Elsewhere) {
			if done[k] {
				continue
			}
			done[k] = true
			*end(&e) = []string{report.Everyone}
		}
		out = append(out, e)
	}
	return out
}

// notIsolated are the workloads and pods that are given and that no policy isolates in a direction, by name.
func (s view) notIsolated() []report.Open {
	open := map[string]*report.Open{}
	for _, pod := range s.Snapshot.Pods {
		if !isGiven(pod) {
			continue
		}
		ingress, egress := s.isolated(pod)
		if ingress && egress {
			continue
		}
		called := diff.WorkloadName(pod)
		if open[called] == nil {
			open[called] = &report.Open{Name: called}
		}
		open[called].Ingress = open[called].Ingress || !ingress
		open[called].Egress = open[called].Egress || !egress
	}
	out := make([]report.Open, 0, len(open))
	for _, name := range slices.Sorted(maps.Keys(open)) {
		out = append(out, *open[name])
	}
	return out
}

// isolated says in which directions a policy isolates a pod.
func (s view) isolated(pod *corev1.Pod) (ingress, egress bool) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	_, ingress = s.Evaluator.Isolating(name, networkingv1.PolicyTypeIngress)
	_, egress = s.Evaluator.Isolating(name, networkingv1.PolicyTypeEgress)
	return ingress, egress
}

// free are the ends that nobody gave, by name, and the directions in which some of their pods are not isolated.
func (s view) free() map[string]report.Open {
	out := map[string]report.Open{}
	for name, pod := range s.Pods {
		if !scene.IsStandIn(pod) {
			continue
		}
		ingress, egress := s.isolated(pod)
		for _, called := range s.Names([]reach.Endpoint{{Pod: name}}) {
			o := out[called]
			out[called] = report.Open{Name: called, Ingress: o.Ingress || !ingress, Egress: o.Egress || !egress}
		}
	}
	return out
}
