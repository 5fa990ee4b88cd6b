package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/doctor"
	"github.com/apptier/apptier/internal/cli/doctor/gather"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/internal/version"
)

// versionOptions are the flags of version.
type versionOptions struct {
	cluster *genericclioptions.ConfigFlags
	live    bool
	output  string
}

func newVersion(streams genericiooptions.IOStreams) *cobra.Command {
	o := versionOptions{cluster: scene.ClusterFlags()}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print which build this is, and what a cluster has",
		Long: `Print which build this is. With --cluster, print also which versions of the kinds, the managers and the enforcers
the cluster has.

Of -o json these fields stay: version, and with --cluster also crds, managers and enforcers, each a list.

Exits with 0, with 2 when the cluster cannot be asked, or with 3 when you may not see some of it.`,
		Example: `  kubectl apptier version

  # Does the plugin fit what is installed? See docs/reference/versions.md.
  kubectl apptier version --cluster`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), streams.Out) },
	}
	o.cluster.AddFlags(cmd.Flags())
	// As of other commands: elsewhere in kubectl, --cluster names a cluster of the kubeconfig file.
	cmd.Flags().BoolVar(&o.live, "cluster", false, "Also print what the cluster has.")
	flags.Choice(cmd, &o.output, "output", "o", "text", "How to print", "text", "json")
	return cmd
}

func (o *versionOptions) run(ctx context.Context, out io.Writer) error {
	write, err := flags.Chosen(map[string]func(io.Writer, versions) error{"text": writeVersions, "json": writeVersionsJSON}, o.output)
	if err != nil {
		return err
	}
	v := versions{Version: version.String()}
	if !o.live {
		return write(out, v)
	}
	facts, err := gather.Cluster(ctx, o.cluster)
	if err != nil {
		return err
	}
	installed := doctor.Versions(facts)
	v.CRDs, v.Managers, v.Enforcers = &installed.CRDs, &installed.Managers, &installed.Enforcers
	if err := write(out, v); err != nil {
		return fmt.Errorf("printing versions: %w", err)
	}
	for _, unread := range []string{facts.CRDs.Unread, facts.Deployments.Unread, facts.DaemonSets.Unread} {
		if unread != "" {
			return &exit.AnswerError{Code: exit.Unknown, Answer: "not all is known: " + unread}
		}
	}
	return nil
}

// versions are what is printed; the lists are nil if no cluster was asked.
type versions struct {
	Version   string    `json:"version"`
	CRDs      *[]string `json:"crds,omitempty"`
	Managers  *[]string `json:"managers,omitempty"`
	Enforcers *[]string `json:"enforcers,omitempty"`
}

func writeVersions(out io.Writer, v versions) error {
	if v.CRDs == nil {
		_, err := fmt.Fprintln(out, v.Version)
		return err
	}
	words := func(list *[]string) string {
		if len(*list) == 0 {
			return "none"
		}
		return strings.Join(*list, " and ")
	}
	_, err := fmt.Fprintf(out, "plugin     %s\nCRDs       %s\nmanagers   %s\nenforcers  %s\n", v.Version, words(v.CRDs), words(v.Managers), words(v.Enforcers))
	return err
}

func writeVersionsJSON(out io.Writer, v versions) error { return report.WriteJSON(out, v) }
