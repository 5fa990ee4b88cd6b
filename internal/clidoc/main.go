// Command clidoc writes docs/reference/cli.md from the help of the kubectl plugin.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
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
	own, kubectls := cli.Flags(command)
	if own.HasFlags() {
		fmt.Fprintf(b, "\n```text\n%s```\n", own.FlagUsages())
	}
	if kubectls.HasFlags() {
		b.WriteString("\nThe command also has kubectl's flags for the cluster and the user, such as `--context`.\n")
	}
}

func firstOf(long, short string) string {
	if long != "" {
		return long
	}
	return short + "."
}
