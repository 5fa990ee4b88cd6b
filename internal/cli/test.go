package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/assertion"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
)

// testOptions are the flags of test.
type testOptions struct {
	ask.Options
	packets packetOptions
	output  string
}

// resultWriters are the values of test's flag --output.
var resultWriters = map[string]func(io.Writer, []report.Result) error{
	"text": report.WriteResults, "json": report.WriteResultsJSON, "tap": report.WriteTAP,
	"junit": report.WriteJUnit, "github": report.WriteResultsGitHub,
}

func newTest(streams genericiooptions.IOStreams) *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test CASES [FILE|DIRECTORY... | -k DIRECTORY] [--cluster]",
		Short: "Test which connections may pass, as written down in a file",
		Long: `Test which connections may pass. Cases are in a file of their own:

  apiVersion: test.apptier.dev/v1alpha1
  kind: ConnectionTest
  metadata: {name: shop, namespace: shop}
  cases:
  - {name: the frontend uses the API, from: shop/frontend, to: shop/api, expect: allow}
  - {from: internet, to: [shop/api, shop/database], ports: [1-65535], expect: deny}
  - {name: nobody but the API reads the database, to: shop/database, ports: [5432], onlyFrom: shop/api}

Write ends as for can. An end with several pods means each of them. Ports are numbers, ranges or names, and may end in /UDP.
onlyFrom names all who may connect: they must be allowed, and everybody else denied. Everybody else is every other pod of the
input, every other pod that its workloads would make, one pod for each peer of a policy that describes it, one without labels in
each namespace and in one that does not exist, and an address of each range that policies distinguish. A pod that is not in the
input, and has only labels of a named one, counts as the named one.

Cases and manifests are files and directories, in any order, with or without -f; -k and --cluster are as for can. A case that
fails names the connection, the reason, and the file and line of the rule that decides.

With --packets the connections are tried on the cluster as it is, from the pods themselves: in each an ephemeral container tries
all of its connections, ends, and stays in the pod's list of containers until the pod is replaced. For labels, workloads and tiers
without pods, pods are made and deleted. Connected and refused mean that packets arrive, and silence that they are denied, but for
UDP, where it is no answer. Of everybody else, one pod of each workload is tried, in namespaces that a case has a source in. What is
not tried is listed with the reason. See docs/packets.md, also for the rights that you need.

Exits with 0 when all cases pass, 1 when one fails, 3 when none fails but some are not known or not all was tried, 2 when there is
no case, something cannot be read or done, or you interrupt it.`,
		Example: `  # Before a commit: do these manifests allow what they must, and nothing else?
  kubectl apptier test tests/ manifests/ -R

  # Does the cluster?
  kubectl apptier test tests/shop.yaml --cluster

  # Do packets obey, now, on the cluster?
  kubectl apptier test tests/shop.yaml --packets

  # With the probe from your registry, and more patience
  kubectl apptier test tests/shop.yaml --packets --probe-image registry.example.com/apptier/enforcer:v0.2.0 --connect-timeout 10s

  # For a CI system
  kubectl apptier test tests/ -k overlays/production -o junit > report.xml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Input.AddFiles(args...)
			return o.run(cmd.Context(), streams)
		},
	}
	o.AddFlags(cmd, "Test the cluster; with manifests, the cluster as it would be with them applied.")
	o.packets.addFlags(cmd)
	flags.Choice(cmd, &o.output, "output", "o", "text", "How to print", "text", "json", "tap", "junit", "github")
	return cmd
}

func (o *testOptions) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	write, err := flags.Chosen(resultWriters, o.output)
	if err != nil {
		return err
	}
	if !o.Input.Given() {
		return errors.New("there are no cases: give a file of them (kubectl apptier test --help shows one)")
	}
	if err := o.packets.validate(); err != nil {
		return err
	}
	o.Live = o.Live || o.packets.on
	namespace, err := o.Namespace()
	if err != nil {
		return err
	}
	o.More = []manifest.Kinds{{Of: assertion.GroupVersion, Types: []runtime.Object{&assertion.ConnectionTest{}}}}
	o.Wants = wantedByCases
	s, _, err := o.Read(ctx, streams.In, namespace, ask.Everything()...)
	if err != nil {
		return err
	}
	var cases []testCase
	if cases, s.Input, err = casesOf(s.Input); err != nil {
		return err
	}
	t := &tester{options: &o.Options, scene: s, ends: map[string]scene.End{}}
	judge := t.judgeAll
	if o.packets.on {
		judge = o.packets.testerOf(t, streams).judgeAll
	}
	results, err := judge(ctx, streams, cases)
	if results == nil {
		return err
	}
	if err := write(streams.Out, results); err != nil {
		return fmt.Errorf("printing the results: %w", err)
	}
	if err != nil { // there are results, and something is left of how they came
		return err
	}
	switch failed, unknown := report.CountResults(results); {
	case failed > 0:
		return &exit.AnswerError{Code: exit.Negative, Answer: "a case failed"}
	case unknown > 0:
		return &exit.AnswerError{Code: exit.Unknown, Answer: "a case cannot be known"}
	default:
		return nil
	}
}

// judgeAll judges cases by what policies say.
func (t *tester) judgeAll(ctx context.Context, streams genericiooptions.IOStreams, cases []testCase) ([]report.Result, error) {
	if err := t.prepare(ctx, streams, cases); err != nil {
		return nil, err
	}
	t.judge = t.byPolicies
	results := make([]report.Result, len(cases))
	for i, c := range cases {
		if err := t.try(&results[i], c); err != nil {
			return nil, err
		}
		complete(&results[i])
	}
	return results, nil
}

// testCase is a case and where it is written.
type testCase struct {
	assertion.Case
	namespace, path string
	source          manifest.Object
}

// casesOf parts the cases of the input from the rest. The error names all that are wrong.
func casesOf(input []manifest.Object) (cases []testCase, rest []manifest.Object, err error) {
	var problems []error
	for _, o := range input {
		test, isTest := o.Object.(*assertion.ConnectionTest)
		if !isTest {
			rest = append(rest, o)
			continue
		}
		for i, c := range test.Cases {
			one := testCase{c, test.Namespace, fmt.Sprintf("cases[%d]", i), o}
			for _, p := range c.Check(one.path) {
				problems = append(problems, manifest.NewProblem(o, p.Path, p.What, p.Fix))
			}
			cases = append(cases, one)
		}
	}
	if len(cases) == 0 && len(problems) == 0 {
		problems = append(problems, errors.New("there are no cases in what is given: kubectl apptier test --help shows a file of them"))
	}
	return cases, rest, errors.Join(problems...)
}

// wantedByCases is what a cluster is asked for so that the ends of cases can be found.
func wantedByCases(input []manifest.Object) []scene.Listing {
	var wanted []scene.Listing
	cases, _, _ := casesOf(input) // what is wrong with them is said later
	for _, c := range cases {
		for _, text := range c.ends() {
			if r, err := scene.ParseEnd(text, c.namespace); err == nil {
				wanted = append(wanted, r.Wanted()...)
			}
		}
	}
	return wanted
}

// ends are all that the case names.
func (c testCase) ends() []string {
	all := slices.Concat(c.From, c.To)
	if c.OnlyFrom != nil {
		all = append(all, *c.OnlyFrom...)
	}
	return all
}
