package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/policy/reach"
)

func newCan(streams genericiooptions.IOStreams) *cobra.Command {
	var o connectionOptions
	cmd := &cobra.Command{
		Use:   "can SOURCE DESTINATION --port PORT",
		Short: "Say whether a connection may pass, and which policy and rule says so",
		Long: `Say whether NetworkPolicies let a connection pass, and which policy and rule says so, for each of
its two halves: the answer for scripts. explain says why, and what to add.

` + endsHelp + `

Exits with 0 when every connection that is meant is allowed, 1 when one is denied, 3 when that cannot be
known (a pod is missing, for example), 2 when the question cannot be answered at all.`,
		Example: `  # May the frontend connect to the database, in the cluster?
  kubectl apptier can shop/frontend-5d4c shop/database-0 --port 5432

  # May every pod of a Deployment use a Service?
  kubectl apptier can deployment/web service/database -n shop

  # Would a tier reach another, with these manifests?
  kubectl apptier can shop/frontend shop/api -n shop -f config/samples/shop.yaml

  # Would it in the cluster, once they are applied?
  kubectl apptier can shop/frontend shop/api -n shop -f config/samples/shop.yaml --cluster

  # May anyone on the internet ask DNS of a pod?
  kubectl apptier can 192.0.2.1 shop/api-0 --port 53 --protocol UDP`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("give a source and a destination, not %d arguments: see kubectl apptier can --help", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runCan(cmd.Context(), &o, streams, args) },
	}
	o.addFlags(cmd)
	return cmd
}

func runCan(ctx context.Context, o *connectionOptions, streams genericiooptions.IOStreams, args []string) error {
	if err := o.validate(); err != nil {
		return err
	}
	s, ends, err := o.see(ctx, streams.In, args)
	if err != nil {
		return err
	}
	asked, err := o.ask(ctx, streams, s, ends)
	if err != nil {
		return err
	}
	if o.output == "json" {
		return printed(writeAnswersJSON(streams.Out, asked, nil), asked)
	}
	for _, a := range asked.answers {
		fmt.Fprintln(streams.Out, a.headline())
		for _, half := range a.halves(asked.evaluator) {
			fmt.Fprintf(streams.Out, "  %-8s %-8s %s\n", half.name, verdictWord(half.decision.Verdict), half.decision.Reason)
			warn(streams, half)
		}
	}
	return errorOf(verdictOf(asked.answers))
}

// warn tells of policies that cannot be read.
func warn(streams genericiooptions.IOStreams, h half) {
	for _, problem := range h.decision.Problems {
		fmt.Fprintf(streams.ErrOut, "warning: cannot be read, and so matches nothing: %s\n", problem)
	}
}

// printed is how a command ends that has printed its answers, or could not.
func printed(err error, asked *asked) error {
	if err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	return errorOf(verdictOf(asked.answers))
}

// asked is a question about connections with its answers.
type asked struct {
	snapshot  reach.Snapshot
	evaluator *reach.Evaluator
	answers   []answer
	meant     expanded
	// standIns are the pods of the snapshot that do not exist.
	standIns []end
}

// ask answers whether the connections between two ends may pass.
func (o *connectionOptions) ask(ctx context.Context, streams genericiooptions.IOStreams, s *scene, ends []end) (*asked, error) {
	flows, err := o.flows(ends[0], ends[1])
	if err != nil {
		return nil, err
	}
	q, err := o.look(ctx, streams, s, ends)
	if err != nil {
		return nil, err
	}
	q.answers = answersTo(q.evaluator, flows)
	return q, nil
}

// look takes the snapshot of a scene, with the pods that stand in for some.
func (o *connectionOptions) look(ctx context.Context, streams genericiooptions.IOStreams, s *scene, ends []end) (*asked, error) {
	settings, err := o.managed.settings()
	if err != nil {
		return nil, err
	}
	q := &asked{}
	if q.snapshot, q.meant, err = s.snapshot(ctx, streams.ErrOut, settings); err != nil {
		return nil, err
	}
	for _, e := range ends {
		if e.standIn == nil {
			continue
		}
		q.standIns = append(q.standIns, e)
		q.snapshot.Pods = append(q.snapshot.Pods, e.standIn)
		fmt.Fprintf(streams.ErrOut, "note: %s has no pod yet; one labelled %s stands in\n", e.text, labelWords(e.standIn.Labels))
	}
	q.evaluator = reach.New(q.snapshot)
	return q, nil
}
