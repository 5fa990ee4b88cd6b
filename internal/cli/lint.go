package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/lint/check"
)

// lintOptions are the flags of lint.
type lintOptions struct {
	scene.SceneOptions
	allNamespaces bool
	output        string
	failOn        string
	quiet         bool
}

// findingWriters are the values of lint's flag --output.
var findingWriters = map[string]func(io.Writer, []manifest.Finding) error{
	"text": func(out io.Writer, findings []manifest.Finding) error {
		report.WriteFindings(out, findings)
		return nil
	},
	"json":   report.WriteFindingsJSON,
	"sarif":  report.WriteSARIF,
	"github": report.WriteGitHub,
}

func newLint(streams genericiooptions.IOStreams) *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint (FILE|DIRECTORY|-... | -k DIRECTORY | --cluster)",
		Short: "Check AppTiers and NetworkPolicies",
		Long: `Check AppTiers and NetworkPolicies: report what would leak, break, or mean nothing, and what to write
instead. docs/checks.md lists the checks, with examples.

Policies are judged together, with the AppTiers, pods, workloads, Services and namespaces of the input. What is
not in the input is not known: checks that need it are silent, or say what they do not know. Any object with a
pod template counts as a pod. Objects of unknown kinds may make pods that are not known. Files of a folder that
are not manifests are named and left out.

With --cluster, the input is judged as if it were applied to the cluster, so everything is known. Without input,
--cluster judges the objects of the cluster: the AppTiers of the namespace, or with -A of all, and the
NetworkPolicies that no AppTier generated.

An object that cannot be read is a finding, and the others are still judged. Standard error says how much was
judged, and what was not.

Exits with 0 when there is nothing to report, 1 when there are findings at or above --fail-on, 2
when there is nothing to judge, or a file or the cluster cannot be read.`,
		Example: `  # Before a commit
  kubectl apptier lint manifests/ -R

  # In CI, with warnings as errors
  kubectl apptier lint -k overlays/production --fail-on warn -o json

  # Would this be right in this cluster, with its pods, Services and namespaces?
  kubectl apptier lint -f manifests/ -R --cluster

  # Is what this cluster holds right?
  kubectl apptier lint --cluster -A

  # As annotations of a pull request on GitHub
  kubectl apptier lint -f manifests/ -R -o github`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Input.AddFiles(args...)
			return o.run(cmd.Context(), streams)
		},
	}
	o.AddFlags(cmd, "Judge what the cluster holds, or the input as it would be in the cluster.")
	cmd.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "With --cluster and without input: what is in every namespace.")
	flags.Choice(cmd, &o.output, "output", "o", "text", "How to print", "text", "json", "sarif", "github")
	report.AddFailOn(cmd, &o.failOn)
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "Do not say on standard error how much was judged.")
	return cmd
}

func (o *lintOptions) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	write, err := flags.Chosen(findingWriters, o.output)
	if err != nil {
		return err
	}
	least, err := report.SeverityOf(o.failOn)
	if err != nil {
		return err
	}
	findings, seen, err := o.check(ctx, streams.In)
	if err != nil {
		return err
	}
	if err := write(streams.Out, findings); err != nil {
		return fmt.Errorf("printing findings: %w", err)
	}
	if !o.quiet {
		fmt.Fprintln(streams.ErrOut, seen.summary(findings))
	}
	return report.Failure(findings, least)
}

// judgedObjects are what lint judged.
type judgedObjects struct {
	appTiers, policies int
	// live says that the cluster was asked.
	live bool
}

// summary says how much was judged, and what came of it.
func (j judgedObjects) summary(findings []manifest.Finding) string {
	text := fmt.Sprintf("judged %s and %s: %s, %s, %s", counted(j.appTiers, "AppTier", "AppTiers"),
		counted(j.policies, "NetworkPolicy", "NetworkPolicies"),
		counted(manifest.Count(findings, check.Reject), "error", "errors"), counted(manifest.Count(findings, check.Warn), "warning", "warnings"),
		counted(manifest.Count(findings, check.Note), "note", "notes"))
	isNotJudged := func(f manifest.Finding) bool { return f.Check != check.NotJudged }
	if n := len(slices.DeleteFunc(slices.Clone(findings), isNotJudged)); n > 0 {
		text += "; not judged: " + counted(n, "thing", "things")
		if !j.live {
			text += ", no cluster was asked"
		}
	}
	return text
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// check runs every check on the AppTiers and the NetworkPolicies of the input or the cluster. Documents that
// cannot be read are findings, and keep none of the others from being judged.
func (o *lintOptions) check(ctx context.Context, stdin io.Reader) (findings []manifest.Finding, seen judgedObjects, err error) {
	if o.allNamespaces && (o.Input.Given() || !o.Live) {
		return nil, seen, errors.New("-A is for what is in the cluster: give it with --cluster, and without -f and -k")
	}
	settings, err := o.Managed.Settings()
	if err != nil {
		return nil, seen, err
	}
	namespace, err := o.Namespace()
	if err != nil {
		return nil, seen, err
	}
	o.Partly = true
	s, d, err := o.Read(ctx, stdin, namespace, scene.ListNamespaces, scene.ListPods, scene.ListNodes, scene.ListServices, scene.ListPolicies,
		scene.ListAppTiers, scene.ListAPIServer, scene.ListBackends, scene.ListNetworks, scene.ListOthers)
	if err != nil {
		return nil, seen, err
	}
	judged := s.Input
	if !o.Input.Given() {
		judged = slices.DeleteFunc(slices.Clone(s.Live), func(live manifest.Object) bool {
			accessor, err := meta.Accessor(live.Object)
			return err != nil || !o.allNamespaces && accessor.GetNamespace() != namespace
		})
	}
	seen = judgedObjects{len(scene.AppTiers(judged)), len(scene.HandWritten(judged)) + len(scene.StagedByHand(judged)), o.Live}
	if o.Input.Given() && seen.appTiers+seen.policies == 0 && s.Unread == nil && len(s.OtherPolicies()) == 0 {
		return nil, seen, fmt.Errorf("%w: lint needs an AppTier or a NetworkPolicy", d.NothingFound())
	}
	findings, err = s.Judge(ctx, judged, settings)
	findings = slices.Concat(findings, d.Findings(), d.LeftOut)
	report.InOrder(findings)
	return findings, seen, err
}
