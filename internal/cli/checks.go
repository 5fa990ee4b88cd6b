package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
)

// checkPage is what is printed about a check as JSON.
type checkPage struct {
	ID       string         `json:"id"`
	Severity check.Severity `json:"severity"`
	About    string         `json:"about"`
	Title    string         `json:"title"`
	Text     string         `json:"text"`
	Wrong    string         `json:"wrong"`
	Right    string         `json:"right"`
	World    string         `json:"world,omitempty"`
}

func newChecks(streams genericiooptions.IOStreams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "checks [CHECK]",
		Short: "List the checks, or explain one",
		Long: `List the checks, or say of one check why it matters and what to do, with a wrong and a right example. Each finding of
lint, and of the admission webhook, ends with the name of its check.

Exits with 0, or 2 for an unknown check.`,
		Example: `  # Which checks are there?
  kubectl apptier checks

  # What does this finding mean?
  kubectl apptier checks dns-missing`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(checkNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(_ *cobra.Command, args []string) error {
			entries := lint.Catalogue()
			if len(args) > 0 {
				i := slices.IndexFunc(entries, func(e check.Check) bool { return string(e.ID) == args[0] })
				if i < 0 {
					return fmt.Errorf("there is no check %q%s: kubectl apptier checks lists them", args[0], didYouMean(args[0], checkNames()))
				}
				entries = entries[i : i+1]
			}
			switch {
			case output == "json":
				return writeChecksJSON(streams.Out, entries)
			case output != "text":
				return fmt.Errorf("--output %q is not known: use json, text", output)
			case len(args) > 0:
				writeCheck(streams.Out, entries[0])
				return nil
			}
			return writeCheckList(streams.Out, entries)
		},
	}
	flags.Choice(cmd, &output, "output", "o", "text", "How to print", "text", "json")
	return cmd
}

func checkNames() []string {
	var names []string
	for _, e := range lint.Catalogue() {
		names = append(names, string(e.ID))
	}
	return names
}

// didYouMean names what is nearest, if anything is near.
func didYouMean(typed string, names []string) string {
	if near := scene.Nearest(typed, names); near != "" {
		return fmt.Sprintf(" (did you mean %s?)", near)
	}
	return ""
}

func writeCheckList(out io.Writer, entries []check.Check) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CHECK\tSEVERITY\tABOUT\tWHAT IT FINDS")
	for _, e := range entries {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", e.ID, e.Severity, e.About, e.Title)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("printing the checks: %w", err)
	}
	return nil
}

func writeCheck(out io.Writer, e check.Check) {
	example := e.Example()
	fmt.Fprintf(out, "%s: %s, about %s\n\n%s.\n%s\n", e.ID, e.Severity, e.About, e.Title, e.Text)
	for _, part := range []struct{ title, text string }{
		{"Wrong", example.Wrong}, {"Right", example.Right}, {"In a cluster with", example.World},
	} {
		if part.text != "" {
			fmt.Fprintf(out, "\n%s:\n\n  %s\n", part.title, strings.ReplaceAll(strings.TrimRight(part.text, "\n"), "\n", "\n  "))
		}
	}
}

func writeChecksJSON(out io.Writer, entries []check.Check) error {
	var list struct {
		Checks []checkPage `json:"checks"`
	}
	for _, e := range entries {
		example := e.Example()
		list.Checks = append(list.Checks,
			checkPage{string(e.ID), e.Severity, string(e.About), e.Title, e.Text, example.Wrong, example.Right, example.World})
	}
	return report.WriteJSON(out, list)
}
