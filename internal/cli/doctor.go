package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/doctor"
	"github.com/apptier/apptier/internal/cli/doctor/gather"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
)

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	cluster *genericclioptions.ConfigFlags
	output  string
}

func newDoctor(streams genericiooptions.IOStreams) *cobra.Command {
	o := doctorOptions{cluster: scene.ClusterFlags()}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say whether apptier works in a cluster, and what to do if not",
		Long: `Say whether apptier works in a cluster, and what to do if not: what is installed in which version, whether the
webhook answers and how long its certificate is valid, whether the enforcer sees the packets of this network, what it says
of its nodes, and which AppTiers are not ready.

It writes nothing, and reads with your own rights. What you may not read is not judged, and said so. Whether the webhook
answers is tried with an AppTier that is to be refused, as a dry run, in the namespace of --namespace.

Of -o json these fields stay: verdict (pass, warn, unknown or fail), versions (plugin, crds, managers, enforcers), and
findings, each with check, status (as verdict), objects, message and fix. Checks are versions, manager, webhook,
webhook-certificate, network, enforcers, nodes, node-health, gate, policies and apptiers; more may come.

Colors are for terminals alone, and not used if the variable NO_COLOR is set.

Exits with 0 when nothing fails, warnings or not, 1 when a check fails, 3 when none fails but some could not be done,
2 when the cluster cannot be asked at all.`,
		Example: `  # Does it work, and if not, what is to be done?
  kubectl apptier doctor

  # What fails, for a script
  kubectl apptier doctor -o json | jq -r '.findings[] | select(.status == "fail") | .message'

  # May I read all that it judges? What it cannot judge it names
  kubectl apptier doctor --as system:serviceaccount:monitoring:checker`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), streams) },
	}
	o.cluster.AddFlags(cmd.Flags())
	flags.Choice(cmd, &o.output, "output", "o", "text", "How to print", "text", "json")
	return cmd
}

func (o *doctorOptions) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	write, err := flags.Chosen(map[string]report.DiagnosisWriter{"text": report.WriteDiagnosis, "json": report.WriteDiagnosisJSON}, o.output)
	if err != nil {
		return err
	}
	facts, err := gather.Cluster(ctx, o.cluster)
	if err != nil {
		return err
	}
	findings := doctor.Judge(facts, time.Now())
	if err := write(streams.Out, doctor.Versions(facts), findings); err != nil {
		return fmt.Errorf("printing what was found: %w", err)
	}
	switch verdict := doctor.Verdict(findings); verdict {
	case doctor.Fail:
		return &exit.AnswerError{Code: exit.Negative, Answer: string(verdict)}
	case doctor.Unknown:
		return &exit.AnswerError{Code: exit.Unknown, Answer: string(verdict)}
	default:
		return nil
	}
}
