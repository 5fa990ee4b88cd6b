package cli

import (
	"bytes"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// Flags parts a command's flags: its own, and those by which kubectl finds a cluster and says who asks. The
// latter are the same for every plugin, but for --namespace, which is everybody's.
func Flags(command *cobra.Command) (own, kubectls *pflag.FlagSet) {
	usual := pflag.NewFlagSet("", pflag.ContinueOnError)
	options := genericclioptions.NewConfigFlags(false)
	options.ClusterName = nil // --cluster is a flag of our own
	options.AddFlags(usual)
	own, kubectls = pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	command.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Name == "namespace" || usual.Lookup(flag.Name) == nil {
			own.AddFlag(flag)
		} else {
			kubectls.AddFlag(flag)
		}
	})
	return own, kubectls
}

// flagUsages are what help says about flags: those that a command is about first.
func flagUsages(command *cobra.Command) string {
	own, kubectls := Flags(command)
	text := own.FlagUsages()
	if kubectls.HasFlags() {
		text += "\nFlags of kubectl, for finding a cluster:\n" + kubectls.FlagUsages()
	}
	return strings.TrimRight(text, "\n")
}

// setHelp has a command and those below it part their flags in their help. It changes what cobra writes, since a template of
// our own would take text/template into the program, and with it every method of every type: a third of its size.
func setHelp(root *cobra.Command) {
	usual := root.UsageFunc()
	root.SetUsageFunc(func(command *cobra.Command) error {
		out := command.OutOrStderr()
		var text bytes.Buffer
		command.SetOut(&text)
		defer command.SetOut(out)
		if err := usual(command); err != nil {
			return err
		}
		flags := strings.TrimRight(command.LocalFlags().FlagUsages(), " \n")
		_, err := io.WriteString(out, strings.Replace(text.String(), flags, flagUsages(command), 1))
		return err
	})
}
