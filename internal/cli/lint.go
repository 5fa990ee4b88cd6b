package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/policy/lint"
)

// lintOptions are the flags of lint.
type lintOptions struct {
	sceneOptions
	allNamespaces bool
	output        string
	failOn        string
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
		Use:   "lint (-f FILE|DIRECTORY|- | -k DIRECTORY | --cluster)",
		Short: "Check AppTiers and NetworkPolicies",
		Long: `Check AppTiers and NetworkPolicies: what would leak, break, or mean nothing, and what to write
instead. docs/checks.md lists the checks, with examples.

Policies are judged in the world that the input makes: those of a pod together, beside AppTiers, and
with the pods, workloads, Services and namespaces of the input. What is not in the input is not known,
and checks that would need it stay silent. Objects of other kinds are ignored.

With --cluster, the world is the cluster as applying the input would make it, so that everything is
known. Without input, --cluster judges what the cluster holds: the AppTiers of the namespace, or with -A
of all, and the NetworkPolicies that no AppTier stands for.

Exits with 0 when there is nothing to report, 1 when there are findings at or above --fail-on, 2
when the input or the cluster cannot be read.`,
		Example: `  # Before a commit
  kubectl apptier lint -f manifests/ -R

  # In CI, with warnings as errors
  kubectl apptier lint -k overlays/production --fail-on warn -o json

  # Would this be right in this cluster, with its pods, Services and namespaces?
  kubectl apptier lint -f manifests/ -R --cluster

  # Is what this cluster holds right?
  kubectl apptier lint --cluster -A

  # As annotations of a pull request on GitHub
  kubectl apptier lint -f manifests/ -R -o github`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), streams) },
	}
	o.addFlags(cmd, "Judge what the cluster holds, or the input as it would be in the cluster.")
	cmd.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "With --cluster and without input: what is in every namespace.")
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
	findings, unread, err := o.check(ctx, streams.In)
	if err != nil {
		return err
	}
	if err := write(streams.Out, findings); err != nil {
		return fmt.Errorf("printing findings: %w", err)
	}
	if unread != nil {
		return unread
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

// check runs every check on the AppTiers, and then on the NetworkPolicies, of the input or the cluster.
// Documents that cannot be read keep none of the others from being judged: what is wrong with them is
// unread.
func (o *lintOptions) check(ctx context.Context, stdin io.Reader) (findings []finding, unread, err error) {
	if o.allNamespaces && (o.input.given() || !o.live) {
		return nil, nil, errors.New("-A is for what is in the cluster: give it with --cluster, and without -f and -k")
	}
	settings, err := o.managed.settings()
	if err != nil {
		return nil, nil, err
	}
	namespace, err := o.namespace()
	if err != nil {
		return nil, nil, err
	}
	o.partly = true
	s, d, err := o.read(ctx, stdin, namespace, listNamespaces, listPods, listNodes, listServices, listPolicies, listAppTiers, listAPIServer)
	if err != nil {
		return nil, nil, err
	}
	judged := s.input
	switch {
	case !o.input.given():
		judged = slices.DeleteFunc(slices.Clone(s.live), func(live object) bool {
			accessor, err := meta.Accessor(live.Object)
			return err != nil || !o.allNamespaces && accessor.GetNamespace() != namespace
		})
	case len(appTiers(judged))+len(handWritten(judged)) == 0 && s.unread != nil:
		return nil, nil, s.unread
	case len(appTiers(judged))+len(handWritten(judged)) == 0:
		return nil, nil, fmt.Errorf("%w: lint needs an AppTier or a NetworkPolicy", d.nothingFound())
	}
	findings, err = s.judge(ctx, judged, settings)
	return findings, s.unread, err
}
