// Package flags declares flags that take one of several values, and has the shell complete them.
package flags

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apptier/apptier/internal/cli/scene"
)

// Choice adds a flag of some values, which the shell completes.
func Choice(cmd *cobra.Command, to *string, name, shorthand, value, what string, choices ...string) {
	last := len(choices) - 1
	cmd.Flags().StringVarP(to, name, shorthand, value, fmt.Sprintf("%s: %s or %s.", what, strings.Join(choices[:last], ", "), choices[last]))
	complete(cmd, name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
}

// Chosen is what a value of --output prints by.
func Chosen[W any](writers map[string]W, output string) (W, error) {
	write, found := writers[output]
	if !found {
		return write, fmt.Errorf("--output %q is not known: use %s", output, strings.Join(slices.Sorted(maps.Keys(writers)), ", "))
	}
	return write, nil
}

// complete has the shell complete a flag that the command has.
func complete(cmd *cobra.Command, flag string, by cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, by); err != nil {
		panic(err) // there is no such flag
	}
}

// CompleteNamespaces completes the flag --namespace of a command and those below it, by the cluster's.
func CompleteNamespaces(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Flags().Lookup("namespace") != nil {
			complete(cmd, "namespace", func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
				names := scene.Namespaces(cmd.Context(), cmd.Flags())
				names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, begun) })
				return names, cobra.ShellCompDirectiveNoFileComp
			})
		}
	}
}
