package ask

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/scene"
)

// NewCan returns the command can.
func NewCan(streams genericiooptions.IOStreams) *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use:   "can SOURCE DESTINATION --port PORT",
		Short: "Say whether a connection may pass, and which policy and rule says so",
		Long: `Say whether NetworkPolicies let a connection pass, and which policy and rule decides, for each of
its two halves. This is the answer for scripts; explain says why, and what to add.

` + endsHelp + `

Exits with 0 when every connection is allowed, 1 when one is denied, 3 when the answer is not known
(for example because a pod is missing), 2 when there is no answer.`,
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

func runCan(ctx context.Context, o *Options, streams genericiooptions.IOStreams, args []string) error {
	if err := o.validate(); err != nil {
		return err
	}
	s, ends, err := o.see(ctx, streams.In, args, scene.ListServices, scene.ListAppTiers, scene.ListAPIServer)
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
	for _, a := range asked.Answers {
		fmt.Fprintln(streams.Out, asked.Headline(a))
		for _, half := range a.Halves(asked.Evaluator) {
			fmt.Fprintf(streams.Out, "  %-8s %-8s %s\n", half.Name, VerdictWord(half.Decision.Verdict), asked.ReasonWords(half.Decision.Reason))
			warn(streams, half)
		}
		asked.writeAudit(streams.Out, a)
	}
	return errorOf(scene.VerdictOf(asked.Answers))
}

// warn tells of policies that cannot be read.
func warn(streams genericiooptions.IOStreams, h scene.Half) {
	for _, problem := range h.Decision.Problems {
		fmt.Fprintf(streams.ErrOut, "warning: cannot be read, and so matches nothing: %s\n", problem)
	}
}

// printed is how a command ends that has printed its answers, or could not.
func printed(err error, asked *Question) error {
	if err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	return errorOf(scene.VerdictOf(asked.Answers))
}
