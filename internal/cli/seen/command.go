// Package seen has the commands about connections that nodes saw: denied and flows. The manager's API answers them, or a
// file that it once answered with.
package seen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/scene"
)

// options are the flags of a command, and what it is about.
type options struct {
	cluster       *genericclioptions.ConfigFlags
	streams       genericiooptions.IOStreams
	allNamespaces bool
	watch         bool
	since         time.Duration
	output        string
	file          string
	// sinceGiven and namespaceGiven say whether the flags were.
	sinceGiven, namespaceGiven bool

	// verdicts are those that the command is about, and what is what it calls them.
	verdicts []connections.Verdict
	what     string
	now      func() time.Time
	// ticks says when to look again.
	ticks func() (<-chan time.Time, func())
}

const usually = time.Hour

const sharedHelp = `Times are local. Connections from one source to one address, port and protocol are one line, with how often packets were
denied or connections opened (×14). The ends are what they were then: a pod that is gone keeps its name. An end is
shown with its tier if you may list AppTiers in its namespace, and you see what has an end in a namespace where you may list
AppTiers; --all-namespaces needs that right in all of them.

With POD or TIER the command shows connections of which an end is a pod of this name, of this tier (TIER or APP/TIER), of this
workload (KIND/NAME), or has this address.

Nodes keep connections in memory, the latest of each. What is not seen is said on standard error: nodes that do not answer, and
connections for which a node had no memory. Of a namespace, all nodes with pods of it are asked, and 500 others: that there are
more is a note, since these can have seen only what policies of other namespaces denied, and pods that are gone.

Of -o json, which is the list as the API serves it, the fields stay that docs/reference/api.md names. With -w it is one
connection a line.

Exits with 0 when all was seen, whether anything was found or not, and whether there are notes or not, 3 when something could not
be seen, 2 when there is no answer.`

// NewDenied returns the command denied.
func NewDenied(streams genericiooptions.IOStreams) *cobra.Command {
	o := newOptions(streams, "denied", connections.Denied, connections.WouldDeny)
	cmd := &cobra.Command{
		Use:   "denied [POD | TIER]",
		Short: "Show the connections that were denied, by name, and how to see why",
		Long: `Show the connections that were denied, and those that staged policies would deny, by name: who wanted to reach whom, on which
port, which side's policies decided, and the command that explains it.

` + sharedHelp,
		Example: `  # What was denied in this namespace in the last hour?
  kubectl apptier denied -n shop

  # Watch what one tier is denied, as it happens
  kubectl apptier denied -n shop database -w

  # Everywhere, today, for a script
  kubectl apptier denied -A --since 24h -o json | jq -r '.items[] | [.source.namespace, .source.pod, .port] | @tsv'

  # Of a list that somebody saved
  kubectl apptier denied -f connections.json`,
	}
	return o.complete(cmd)
}

// NewFlows returns the command flows.
func NewFlows(streams genericiooptions.IOStreams) *cobra.Command {
	o := newOptions(streams, "seen", connections.Denied, connections.WouldDeny, connections.Allowed)
	cmd := &cobra.Command{
		Use:   "flows [POD | TIER]",
		Short: "Show the connections that nodes saw, denied and allowed, by name",
		Long: `Show the connections that nodes saw, denied and allowed, by name. Nodes know allowed ones where the enforcer is told to
record them; denied alone shows the others.

` + sharedHelp,
		Example: `  # Who talks to whom in this namespace?
  kubectl apptier flows -n shop

  # Who talks to the database now?
  kubectl apptier flows -n shop database -w --since 1m

  # Save what is known for later
  kubectl apptier flows -n shop -o json > connections.json`,
	}
	return o.complete(cmd)
}

func newOptions(streams genericiooptions.IOStreams, what string, verdicts ...connections.Verdict) *options {
	return &options{
		cluster: scene.ClusterFlags(), streams: streams, what: what, verdicts: verdicts, now: time.Now,
		ticks: func() (<-chan time.Time, func()) {
			ticker := time.NewTicker(time.Second)
			return ticker.C, ticker.Stop
		},
	}
}

var outputs = []string{"table", "wide", "json"}

// complete gives a command its flags, and what it does.
func (o *options) complete(cmd *cobra.Command) *cobra.Command {
	o.cluster.AddFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Show connections of all namespaces.")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "Go on, and show what is new each second.")
	cmd.Flags().DurationVar(&o.since, "since", usually, "Show what was seen so long ago or later; 0 for all. (of a file: all)")
	cmd.Flags().StringVarP(&o.output, "output", "o", "table", "How to print: table, wide or json.")
	cmd.Flags().StringVarP(&o.file, "filename", "f", "",
		"Show the connections of a file that -o json wrote, or of standard input (-), instead of a cluster's.")
	cmd.Args = cobra.MaximumNArgs(1)
	cmd.ValidArgsFunction = o.completeEnds
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp)) // it is there
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.sinceGiven, o.namespaceGiven = cmd.Flags().Changed("since"), cmd.Flags().Changed("namespace")
		return o.run(cmd.Context(), args)
	}
	return cmd
}

func (o *options) validate() error {
	switch {
	case !slices.Contains(outputs, o.output):
		return fmt.Errorf("--output %q is not known: use table, wide or json", o.output)
	case o.since < 0:
		return fmt.Errorf("--since %s is in the future: say how long ago, as in 10m", o.since)
	case o.watch && o.file != "":
		return errors.New("--watch asks a cluster, and --filename none: use one of them")
	case o.allNamespaces && o.namespaceGiven:
		return errors.New("--all-namespaces and --namespace say different things: use one of them")
	default:
		return nil
	}
}

func (o *options) run(ctx context.Context, args []string) error {
	if err := o.validate(); err != nil {
		return err
	}
	from, err := o.source()
	if err != nil {
		return err
	}
	w := wanted{verdicts: o.verdicts, namespace: from.namespace}
	if len(args) > 0 {
		w.end = args[0]
	}
	if o.file == "" || o.sinceGiven {
		w.last = o.since
	}
	if o.watch {
		return o.follow(ctx, from, w)
	}
	list, err := from.list(ctx, w.since(o.now()))
	if err != nil {
		return err
	}
	list = w.of(list, o.now())
	if err := o.print(ctx, from, list, w); err != nil {
		return err
	}
	if o.output != "json" {
		tellMissing(o.streams.ErrOut, list)
	}
	return answerOf(list.Missing)
}

// answerOf is that nobody knows, if something was not seen.
func answerOf(missing []connections.Missing) error {
	if len(missing) > 0 {
		return &exit.AnswerError{Code: exit.Unknown, Answer: "not everything was seen"}
	}
	return nil
}
