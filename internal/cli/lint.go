package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/policy/lint"
)

// lintOptions are the flags of lint.
type lintOptions struct {
	input     input
	namespace string
	output    string
	failOn    string
}

func newLint(streams genericiooptions.IOStreams) *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint (-f FILE|DIRECTORY|- | -k DIRECTORY)",
		Short: "Check AppTiers as the admission webhook does",
		Long: `Check AppTiers as the admission webhook does: what would leak, break, or mean nothing, and what
to write instead. Objects of other kinds are ignored.

Exits with 0 when there is nothing to report, 1 when there are findings at or above --fail-on, 2
when the input cannot be read.`,
		Example: `  # Before a commit
  kubectl apptier lint -f manifests/ -R

  # In CI, with warnings as errors
  kubectl apptier lint -k overlays/production --fail-on warn -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.run(streams) },
	}
	o.input.addFlags(cmd)
	addNamespaceFlag(cmd, &o.namespace)
	cmd.Flags().StringVarP(&o.output, "output", "o", "text", "How to print: text or json.")
	cmd.Flags().StringVar(&o.failOn, "fail-on", "reject", "The least severity that fails: reject or warn.")
	return cmd
}

func (o *lintOptions) run(streams genericiooptions.IOStreams) error {
	if o.output != "text" && o.output != "json" {
		return fmt.Errorf("--output %q is not known: use text or json", o.output)
	}
	if o.failOn != "reject" && o.failOn != "warn" {
		return fmt.Errorf("--fail-on %q is not known: use reject or warn", o.failOn)
	}
	apps, _, err := readAppTiers(streams.In, &o.input, o.namespace)
	if err != nil {
		return err
	}
	findings := check(apps)
	if o.output == "json" {
		if err := writeFindingsJSON(streams.Out, findings); err != nil {
			return fmt.Errorf("printing findings: %w", err)
		}
	} else {
		writeFindings(streams.Out, findings)
	}
	failing := count(findings, lint.Reject)
	if o.failOn == "warn" {
		failing += count(findings, lint.Warn)
	}
	if failing > 0 {
		return &AnswerError{Code: codeNegative, Answer: fmt.Sprintf("%d findings", failing)}
	}
	return nil
}
