package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/version"
)

func newVersion(streams genericiooptions.IOStreams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print which build this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch output {
			case "text":
				fmt.Fprintln(streams.Out, version.String())
				return nil
			case "json":
				return report.WriteJSON(streams.Out, map[string]string{"version": version.String()})
			}
			return fmt.Errorf("--output %q is not known: use json, text", output)
		},
	}
	flags.Choice(cmd, &output, "output", "o", "text", "How to print", "text", "json")
	return cmd
}
