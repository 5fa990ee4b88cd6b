// Package learning is the command learn: connections that were seen become AppTiers (policy/learn).
package learning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	connectionsv1 "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/learn"
)

// options are the flags of learn.
type options struct {
	scene.SceneOptions
	minCount      int64
	mostAddresses int
	doubtful      string
	denied        bool
	output        string
	failOn        string
	// namespaced says that a namespace was given.
	namespaced bool
}

var (
	outputs   = []string{"yaml", "json"}
	doubtfuls = []string{"mark", "leave-out"}
	failOns   = []string{"added", "doubtful", "left-out"}
)

const help = `Write AppTiers that allow the connections that were seen, in mode Audit, which denies nothing.

Connections are those that hubble observe -o json prints, one flow a line, and those that kubectl apptier flows -o json
prints; without a file, those that the nodes of the cluster report. Pods, workloads, Services and AppTiers come from the
manifests of -f and -k, and from the cluster with --cluster, or without files.

A workload becomes a tier, named after the workload. Tiers go into one AppTier if labels say that they belong to one
application (app.kubernetes.io/part-of or instance), or if no label says otherwise. A Service stands for the pods behind it.
Nodes and the API server have their own peers, and DNS is left to spec.dns. Addresses of the internet are named as long as
a tier has no more than --max-addresses of them on a port; then it is the whole internet.

A comment at each rule says how many connections it rests on, and when they were seen. A connection that was seen fewer than
--min-count times is doubtful: the comment says so, or it is left out with --doubtful leave-out. Connections that were
denied are left out, unless --include-denied is given.

AppTiers that are there, in the manifests or the cluster, stay as they are. What they do not declare is added to them, and
only those that change are printed. New tiers join the AppTier of their namespace if it is the only one and in mode Audit;
otherwise they are an AppTier of their own.

Without -n, AppTiers are written for every namespace in which a connection was seen, but not for those that begin with kube-.

Prints the AppTiers on standard output, and on standard error what was left out, and a summary.

Exits with 0 when everything was read, 1 when --fail-on applies, 2 when a file, a line of it or the cluster cannot be read;
what can be read is learned.`

const examples = `  # From what Cilium saw, with the cluster's pods and Services
  hubble observe --since 1h -o json | kubectl apptier learn - --cluster -n shop

  # The same from files, without a cluster
  kubectl apptier learn flows.jsonl -f manifests/ -R

  # From what the nodes of this cluster report
  kubectl apptier learn -n shop | kubectl apply -f -

  # Is everything that was seen declared?
  kubectl apptier learn flows.jsonl -f apptiers.yaml -f manifests/ --fail-on added

  # Without what was seen fewer than 10 times
  kubectl apptier learn flows.jsonl -f manifests/ -R --min-count 10 --doubtful leave-out`

// NewCommand returns the command.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:     "learn [CONNECTIONS|-]...",
		Short:   "Write AppTiers that allow the connections that were seen",
		Long:    help,
		Example: examples,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.namespaced = cmd.Flags().Changed("namespace")
			return o.run(cmd.Context(), streams, args)
		},
	}
	o.AddFlags(cmd, "Know the pods, Services and AppTiers of the cluster, as they would be with the input applied.")
	own := cmd.Flags()
	own.Int64Var(&o.minCount, "min-count", 2, "How many connections of a kind must have been seen for it not to be doubtful.")
	own.IntVar(&o.mostAddresses, "max-addresses", 3,
		"How many addresses of the internet a tier may have on a port before it is the whole internet.")
	own.BoolVar(&o.denied, "include-denied", false, "Learn connections that were denied too.")
	flags.Choice(cmd, &o.doubtful, "doubtful", "", "mark", "What becomes of doubtful connections", doubtfuls...)
	flags.Choice(cmd, &o.output, "output", "o", "yaml", "How to print", outputs...)
	flags.Choice(cmd, &o.failOn, "fail-on", "", "", "Exit with 1 if something is", failOns...)
	return cmd
}

func words(choices []string) string {
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

func (o *options) validate() error {
	switch {
	case !slices.Contains(outputs, o.output):
		return fmt.Errorf("--output %q is not known: use %s", o.output, words(outputs))
	case !slices.Contains(doubtfuls, o.doubtful):
		return fmt.Errorf("--doubtful %q is not known: use %s", o.doubtful, words(doubtfuls))
	case o.failOn != "" && !slices.Contains(failOns, o.failOn):
		return fmt.Errorf("--fail-on %q is not known: use %s", o.failOn, words(failOns))
	case o.minCount < 1:
		return fmt.Errorf("--min-count %d is no number of connections: use 1 or more", o.minCount)
	case o.mostAddresses < 0:
		return fmt.Errorf("--max-addresses %d is no number of addresses: use 0 or more", o.mostAddresses)
	}
	return nil
}

// standardInput is how standard input is given.
const standardInput = "-"

// checkStdin says that standard input is given more than once: whoever reads it first leaves nothing for the next.
func (o *options) checkStdin(files []string) error {
	at := slices.Index(files, standardInput)
	switch {
	case at < 0:
		return nil
	case o.Input.ReadsStdin():
		return errors.New("connections and manifests cannot both come from standard input: give one of them as a file")
	case slices.Contains(files[at+1:], standardInput):
		return errors.New("- is given twice, and standard input can be read once")
	default:
		return nil
	}
}

func (o *options) run(ctx context.Context, streams genericiooptions.IOStreams, files []string) error {
	if err := cmp.Or(o.validate(), o.checkStdin(files)); err != nil {
		return err
	}
	o.Live = o.Live || len(files) == 0
	namespace, err := o.Namespace()
	if err != nil {
		return err
	}
	var seen records
	var problems []error
	for _, file := range files {
		problems = append(problems, seen.readFile(file, streams.In))
	}
	if len(files) == 0 {
		problems = append(problems, o.ask(ctx, &seen, namespace))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if len(seen.observations) == 0 && len(seen.problems) > 0 {
		seen.writeProblems(streams.ErrOut)
		return errors.New("nothing was learned, since nothing can be read")
	}
	in, err := o.input(ctx, streams, namespace, seen.observations)
	if err != nil {
		return err
	}
	for i := range in.Observations {
		in.Observations[i].Denied = in.Observations[i].Denied && !o.denied
	}
	learned, err := learn.Learn(ctx, in)
	if err != nil {
		return fmt.Errorf("learning from what was seen: %w", err)
	}
	if err := o.print(streams, &seen, learned); err != nil {
		return fmt.Errorf("printing what was learned: %w", err)
	}
	if len(seen.problems) > 0 {
		return fmt.Errorf("nothing was learned of what cannot be read: %s", counted(int64(len(seen.problems)), "line"))
	}
	return o.failure(learned)
}

// ask has the cluster say what its nodes saw.
func (o *options) ask(ctx context.Context, seen *records, namespace string) error {
	path := "/apis/" + connectionsv1.GroupVersion.String() + "/"
	if o.namespaced {
		path += "namespaces/" + namespace + "/"
	}
	text, err := o.GetLive(ctx, path+"connections")
	if err != nil {
		return fmt.Errorf("asking the cluster for the connections that its nodes saw: %w: "+
			"give a file with connections, as hubble observe -o json prints them", err)
	}
	return seen.connections("ConnectionList", text)
}

// failure is the answer that --fail-on asks for, or nil.
func (o *options) failure(learned learn.Result) error {
	isDoubtful := func(g learn.Ground) bool { return g.Doubtful }
	fails := map[string]bool{
		"added": len(learned.AppTiers) > 0, "doubtful": slices.ContainsFunc(learned.Grounds, isDoubtful), "left-out": len(learned.LeftOut) > 0,
	}
	if fails[o.failOn] {
		return &exit.AnswerError{Code: exit.Negative, Answer: "something is " + o.failOn}
	}
	return nil
}
