// Command clidoc writes docs/reference/cli.md from the help of the kubectl plugin.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: clidoc FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(page()), 0o600); err != nil { //nolint:gosec // whoever runs it names the file
		fmt.Fprintln(os.Stderr, "clidoc:", err)
		os.Exit(1)
	}
}

func page() string {
	root := cli.NewCommand(genericiooptions.NewTestIOStreamsDiscard())
	var b strings.Builder
	b.WriteString("<!-- Written by make generate from internal/cli. -->\n\n")
	fmt.Fprintf(&b, "# kubectl apptier\n\n%s\n", root.Long)
	for _, command := range root.Commands() {
		section(&b, command)
	}
	return b.String()
}

func section(b *strings.Builder, command *cobra.Command) {
	fmt.Fprintf(b, "\n## kubectl apptier %s\n\n```text\n%s\n```\n\n", command.Name(), strings.TrimPrefix(command.UseLine(), "kubectl-"))
	fmt.Fprintf(b, "```text\n%s\n```\n", firstOf(command.Long, command.Short))
	if command.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", command.Example)
	}
	own, hasKubectls := flags(command)
	if own.HasFlags() {
		fmt.Fprintf(b, "\n```text\n%s```\n", own.FlagUsages())
	}
	if hasKubectls {
		b.WriteString("\nThe flags by which kubectl finds a cluster and says who asks, such as `--context`, are there too.\n")
	}
}

func firstOf(long, short string) string {
	if long != "" {
		return long
	}
	return short + "."
}

// flags returns a command's own flags, and whether it has kubectl's as well. Those are the same for
// every plugin, and their defaults are of the machine that this runs on.
func flags(command *cobra.Command) (own *pflag.FlagSet, hasKubectls bool) {
	kubectls := pflag.NewFlagSet("", pflag.ContinueOnError)
	usual := genericclioptions.NewConfigFlags(false)
	usual.ClusterName = nil // --cluster is a flag of our own
	usual.AddFlags(kubectls)
	own = pflag.NewFlagSet("", pflag.ContinueOnError)
	own.SortFlags = true
	command.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		switch {
		case flag.Name == "namespace" || kubectls.Lookup(flag.Name) == nil:
			own.AddFlag(flag)
		default:
			hasKubectls = true
		}
	})
	return own, hasKubectls
}
