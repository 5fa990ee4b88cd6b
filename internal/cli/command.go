// Package cli is the kubectl plugin: what the manager, the webhook and the enforcer would make of
// manifests, answered without a cluster by the same packages.
//
// A command looks at a scene of manifests and clusters (packages scene and manifest), asks package policy, and prints
// (package report). It holds no rule of its own about AppTiers or NetworkPolicies. Larger commands have packages of their
// own: ask, diff, connectivity, importing, learning and krm.
package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/connectivity"
	"github.com/apptier/apptier/internal/cli/diff"
	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/importing"
	"github.com/apptier/apptier/internal/cli/krm"
	"github.com/apptier/apptier/internal/cli/learning"
	"github.com/apptier/apptier/internal/cli/seen"
	"github.com/apptier/apptier/internal/version"
)

// NewCommand returns the root command. Its errors are not printed: see [exit.Report] and [exit.Code].
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-apptier",
		Short: "See what AppTiers mean, without a cluster",
		Long: `See what AppTiers mean, without a cluster: render their NetworkPolicies, check them as the
admission webhook does, and ask who may talk to whom, and why.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		// kubectl runs the plugin, and this is how people call it.
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl apptier"},
	}
	root.DisableSuggestions = true // theirs are spread over several lines
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, command := range root.Commands() {
			names = append(names, command.Name())
		}
		return fmt.Errorf("there is no command %q%s: kubectl apptier --help lists them", args[0], didYouMean(args[0], names))
	}
	// Not cobra's own, whose text only a template changes: see setHelp.
	told := root.Flags().BoolP("version", "v", false, "version for kubectl apptier")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *told {
			_, err := fmt.Fprintln(streams.Out, version.String())
			return err
		}
		return cmd.Help()
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	setHelp(root)
	root.AddCommand(
		newRender(streams), newLint(streams), ask.NewCan(streams), ask.NewExplain(streams), newTest(streams), diff.NewCommand(streams),
		connectivity.NewCommand(streams), importing.NewCommand(streams), learning.NewCommand(streams), seen.NewDenied(streams),
		seen.NewFlows(streams), newDoctor(streams), newChecks(streams), krm.NewCommand(streams), newVersion(streams),
	)
	flags.CompleteNamespaces(root)
	return root
}
