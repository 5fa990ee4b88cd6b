// Package diff says which connections two states of policies treat differently: it is the command diff, and what
// describes differences to people in other commands.
package diff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/reach"
)

// diffOptions are the flags of diff.
type diffOptions struct {
	ask.Options
	output, failOn string
}

// changeWriters are the values of diff's flag --output.
var changeWriters = map[string]func(io.Writer, report.Changes) error{
	"text": report.WriteChanges, "md": report.WriteChangesMarkdown, "json": report.WriteChangesJSON,
}

// NewCommand returns the command diff.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff OLD NEW | diff --cluster NEW",
		Short: "Say which connections a change opens and closes",
		Long: `Say which connections a change of manifests opens and closes. Changes of the text alone are no difference: another
name, another order, or an AppTier in place of NetworkPolicies, if the same connections may pass.

OLD and NEW are each a file, a directory with everything in it, a directory with a kustomization, which is
built, or git:REVISION:PATH, as in git:main:manifests. With --cluster give only NEW: the command shows what
applying it would change in the cluster.

The comparison is exact for every pod of the input, every pod that its workloads would make, one pod for each policy
or peer that describes it, one without labels in each namespace, and every range of addresses and ports that policies
distinguish. A pod with the labels that several policies describe is compared only if the input has it. A pod of only
one side is also judged on the other: the command compares policies, not pods.

Exits with 0 when both were read, even if they differ, 1 when --fail-on applies, 2 when one of them cannot be read.`,
		Example: `  # What does this branch change?
  kubectl apptier diff git:main:manifests manifests

  # As a comment of a pull request, and a failure if anything is opened
  kubectl apptier diff git:origin/main:overlays/production overlays/production -o md --fail-on opened

  # What would applying these change in the cluster?
  kubectl apptier diff --cluster manifests/`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch live, _ := cmd.Flags().GetBool("cluster"); {
			case live && len(args) != 1:
				return fmt.Errorf("give what is to be applied, not %d arguments: --cluster is what it is compared with", len(args))
			case !live && len(args) != 2:
				return fmt.Errorf("give the old and the new manifests, not %d arguments: see kubectl apptier diff --help", len(args))
			case !live && args[0] == "-" && args[1] == "-":
				return errors.New("standard input is one of the two: give a file for the other")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), streams, args) },
	}
	o.AddClusterFlags(cmd, "Compare the cluster now with the cluster after the manifests are applied.")
	flags.Choice(cmd, &o.output, "output", "o", "text", "How to print", "text", "md", "json")
	flags.Choice(cmd, &o.failOn, "fail-on", "", "", "Exit with 1 if connections are", "opened", "closed", "any")
	return cmd
}

func (o *diffOptions) run(ctx context.Context, streams genericiooptions.IOStreams, args []string) error {
	write, err := flags.Chosen(changeWriters, o.output)
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"", "opened", "closed", "any"}, o.failOn) {
		return fmt.Errorf("--fail-on %q is not known: use opened, closed or any", o.failOn)
	}
	streams.ErrOut = report.OnlyOnce(streams.ErrOut)
	sides, err := o.sides(ctx, streams, args)
	if err != nil {
		return err
	}
	for _, s := range sides {
		scene.TellPartly(streams.ErrOut, s.Snapshot)
	}
	changes, err := changesBetween(ctx, sides)
	if err != nil {
		return err
	}
	if err := write(streams.Out, changes); err != nil {
		return fmt.Errorf("printing the changes: %w", err)
	}
	opened, closed := changes.Count()
	if o.failOn != "" && (opened > 0 && o.failOn != "closed" || closed > 0 && o.failOn != "opened") {
		return &exit.AnswerError{Code: exit.Negative, Answer: "connections are opened or closed"}
	}
	return nil
}

// sides reads both states.
func (o *diffOptions) sides(ctx context.Context, streams genericiooptions.IOStreams, args []string) ([2]*ask.Question, error) {
	var out [2]*ask.Question
	var problems []error
	if o.Live {
		args = []string{"", args[0]} // the cluster as it is, and with what is to be applied
	}
	for i, name := range args {
		one, err := o.side(ctx, streams, name)
		out[i], problems = one, append(problems, err)
	}
	return out, errors.Join(problems...)
}

// side reads one state; without a name, the cluster as it is.
func (o *diffOptions) side(ctx context.Context, streams genericiooptions.IOStreams, name string) (*ask.Question, error) {
	of := o.Options
	if name != "" {
		file, shown, done, err := checkedOut(ctx, name)
		if err != nil {
			return nil, err
		}
		defer done()
		of.Input = manifest.InputOf(file, shown)
	}
	namespace, err := of.Namespace()
	if err != nil {
		return nil, err
	}
	s, _, err := of.Read(ctx, streams.In, namespace, ask.Everything()...)
	if err != nil {
		return nil, err
	}
	report.WriteFindings(streams.ErrOut, s.NotJudged())
	return of.Look(ctx, streams, s, nil)
}

// checkedOut is the file or the directory that a name means, and what people know its files by: of
// git:REVISION:PATH, those of the whole revision are in a directory that done removes, since kustomizations refer
// to others.
func checkedOut(ctx context.Context, name string) (file string, shown func(string) string, done func(), err error) {
	rest, isGit := strings.CutPrefix(name, "git:")
	if !isGit {
		return name, nil, func() {}, nil
	}
	revision, path, found := strings.Cut(rest, ":")
	if !found || revision == "" {
		return "", nil, nil, fmt.Errorf("%q is not a revision: write git:REVISION:PATH, as in git:main:manifests", name)
	}
	directory, err := os.MkdirTemp("", "apptier-diff-")
	if err != nil {
		return "", nil, nil, err
	}
	done = func() { _ = os.RemoveAll(directory) }
	file, err = checkOut(ctx, revision, path, directory)
	if err != nil {
		done()
		return "", nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return file, func(file string) string { return strings.ReplaceAll(file, directory+"/", "git:"+revision+":") }, done, nil
}

// changesBetween compares two states, and names what differs for people.
func changesBetween(ctx context.Context, sides [2]*ask.Question) (report.Changes, error) {
	result, err := Compared(ctx, sides)
	if err != nil {
		return report.Changes{}, err
	}
	return Describe(sides, result), nil
}

// Compared compares two states, with the pods that nobody gave and that policies of either describe.
func Compared(ctx context.Context, sides [2]*ask.Question) (compare.Result, error) {
	Complete(sides[0], sides[1])
	return compare.States(ctx, sides[0].Snapshot, sides[1].Snapshot, scene.ToldApart(sides[0].Snapshot, sides[1].Snapshot))
}

// Complete adds to states the pods that nobody gave and that policies of any of them describe.
func Complete(states ...*ask.Question) {
	pods := make([][]scene.StandIn, len(states))
	scenes := make([]*scene.Scene, len(states))
	for i, q := range states {
		scenes[i] = q.Scene
	}
	there := scene.NamespacesOf(scenes...)
	for i, q := range states {
		described, namespaces := scene.Described(q.Snapshot, there)
		pods[i] = inPairs(append(q.Scene.Strangers(), described...))
		for _, other := range states {
			other.Snapshot.Namespaces = append(other.Snapshot.Namespaces, missing(other.Snapshot.Namespaces, namespaces)...)
		}
	}
	for i, q := range states { // its own first: of a workload, each state may have another template
		q.AddStandIns(pods[i])
		for j := range states {
			if j != i {
				q.AddStandIns(pods[j])
			}
		}
		q.Evaluator = reach.New(q.Snapshot)
	}
}

// another ends the name of the second of two pods that do not exist and are alike.
const another = "[another]"

// inPairs has a second of each pod that nobody gave: what two of them may say to each other is asked about too.
func inPairs(pods []scene.StandIn) []scene.StandIn {
	out := slices.Clone(pods)
	for _, pod := range pods {
		if strings.Contains(pod.Name, " ") { // others are as many as their workload makes
			second := pod.DeepCopy()
			second.Name += another
			out = append(out, scene.StandIn{Pod: second, Unknown: pod.Unknown})
		}
	}
	return out
}

// missing are the namespaces that are not among others.
func missing(there, namespaces []*corev1.Namespace) []*corev1.Namespace {
	return slices.DeleteFunc(slices.Clone(namespaces), func(n *corev1.Namespace) bool {
		return slices.ContainsFunc(there, func(o *corev1.Namespace) bool { return o.Name == n.Name })
	})
}
