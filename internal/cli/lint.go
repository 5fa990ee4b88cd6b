package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/policy/lint"
)

// lintOptions are the flags of lint.
type lintOptions struct {
	input     input
	managed   clusterOptions
	namespace string
	output    string
	failOn    string
}

// findingWriters are the values of lint's flag --output.
var findingWriters = map[string]func(io.Writer, []finding) error{
	"text":   func(out io.Writer, findings []finding) error { writeFindings(out, findings); return nil },
	"json":   writeFindingsJSON,
	"sarif":  writeSARIF,
	"github": writeGitHub,
}

func newLint(streams genericiooptions.IOStreams) *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint (-f FILE|DIRECTORY|- | -k DIRECTORY)",
		Short: "Check AppTiers and NetworkPolicies",
		Long: `Check AppTiers and NetworkPolicies: what would leak, break, or mean nothing, and what to write
instead. docs/checks.md lists the checks, with examples.

NetworkPolicies are judged in the world that the input makes: the policies of a pod together, beside
AppTiers, and with the pods, workloads, Services and namespaces of the input. What is not in the
input is not known, and checks that would need it stay silent. Objects of other kinds are ignored.

Exits with 0 when there is nothing to report, 1 when there are findings at or above --fail-on, 2
when the input cannot be read.`,
		Example: `  # Before a commit
  kubectl apptier lint -f manifests/ -R

  # In CI, with warnings as errors
  kubectl apptier lint -k overlays/production --fail-on warn -o json

  # As annotations of a pull request on GitHub
  kubectl apptier lint -f manifests/ -R -o github`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), streams) },
	}
	o.input.addFlags(cmd)
	o.managed.addFlags(cmd)
	addNamespaceFlag(cmd, &o.namespace)
	cmd.Flags().StringVarP(&o.output, "output", "o", "text", "How to print: text, json, sarif or github.")
	cmd.Flags().StringVar(&o.failOn, "fail-on", "reject", "The least severity that fails: reject or warn.")
	return cmd
}

func (o *lintOptions) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	write, found := findingWriters[o.output]
	if !found {
		return fmt.Errorf("--output %q is not known: use %s", o.output, strings.Join(slices.Sorted(maps.Keys(findingWriters)), ", "))
	}
	if o.failOn != "reject" && o.failOn != "warn" {
		return fmt.Errorf("--fail-on %q is not known: use reject or warn", o.failOn)
	}
	findings, err := o.check(ctx, streams.In)
	if err != nil {
		return err
	}
	if err := write(streams.Out, findings); err != nil {
		return fmt.Errorf("printing findings: %w", err)
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

// check reads the input and runs every check on its AppTiers, and then on its NetworkPolicies.
func (o *lintOptions) check(ctx context.Context, stdin io.Reader) ([]finding, error) {
	documents, err := o.input.read(stdin)
	if err != nil {
		return nil, err
	}
	d := newDecoder(o.namespace, slices.Concat(snapshotKinds(), referenceKinds())...)
	if err := d.decode(documents); err != nil {
		return nil, err
	}
	apps, policies := appTiers(d.objects), handWritten(d.objects)
	if len(apps)+len(policies) == 0 {
		return nil, fmt.Errorf("%w: lint needs an AppTier or a NetworkPolicy", d.nothingFound())
	}
	findings := check(apps)
	more, err := checkPolicies(ctx, d.objects, policies, &o.managed)
	return append(findings, more...), err
}
