package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/model"
)

// renderOptions are the flags of render.
type renderOptions struct {
	input         input
	cluster       *genericclioptions.ConfigFlags
	managed       clusterOptions
	output        string
	live          bool
	allNamespaces bool
	failOn        string
}

func newRender(streams genericiooptions.IOStreams) *cobra.Command {
	o := renderOptions{cluster: clusterFlags()}
	cmd := &cobra.Command{
		Use:   "render (-f FILE|DIRECTORY|- | -k DIRECTORY | --cluster)",
		Short: "Print the NetworkPolicies that AppTiers stand for",
		Long: `Print the NetworkPolicies that AppTiers stand for, as the manager applies them, in the order
in which no declared connection is ever cut. Objects of kinds that AppTiers cannot refer to are
ignored.

What AppTiers refer to is looked for in the input: other AppTiers, Services with the pods and
workloads behind them, Nodes, the Service default/kubernetes with its EndpointSlices, and the
Service of the cluster's DNS. What is not there is left out of the policies, and a warning says so;
without a DNS Service, the usual one holds: pods labelled k8s-app=kube-dns in kube-system, port 53.

With --cluster it is looked for in the cluster too, behind the input. Without input, --cluster prints what
the manager makes of the cluster's own AppTiers; only their owner references are left out. Of two that
cannot be together, the manager keeps the older.

Exits with 0 when all was printed, 1 when an AppTier is refused, or there is a warning with --fail-on
warning, 2 when the input or the cluster cannot be read. The reasons are on standard error, and nothing of
the input is printed then; where AppTiers of the cluster itself are refused, the others are printed. Have
warnings fail before you apply what is printed: what is left out of a policy is denied.`,
		Example: `  # What does this AppTier mean?
  kubectl apptier render -f shop.yaml

  # Use NetworkPolicies in a cluster where apptier is not installed.
  kubectl apptier render -k overlays/production --fail-on warning | kubectl apply -f -

  # What would it mean in this cluster, with its Services and nodes?
  kubectl apptier render -f shop.yaml --cluster

  # See the names alone of all that the manager applies.
  kubectl apptier render --cluster -A -o name`,
		Args: filesByFlag,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), streams) },
	}
	o.input.addFlags(cmd)
	o.cluster.AddFlags(cmd.Flags())
	o.managed.addFlags(cmd)
	cmd.Flags().StringVarP(&o.output, "output", "o", "yaml", "How to print: yaml, json or name.")
	addFailOn(cmd, &o.failOn)
	// Not --cluster: everywhere in kubectl, that names a cluster of the kubeconfig file.
	cmd.Flags().BoolVar(&o.live, "cluster", false, "Look for what AppTiers refer to in the cluster too; without input, render its AppTiers.")
	cmd.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "With --cluster and without input: the AppTiers of every namespace.")
	return cmd
}

func (o *renderOptions) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	write, err := policyWriter(o.output)
	if err != nil {
		return err
	}
	least, err := severityOf(o.failOn)
	if err != nil {
		return err
	}
	s, err := o.managed.settings()
	if err != nil {
		return err
	}
	apps, from, err := o.read(ctx, streams)
	if err != nil {
		return err
	}
	out, err := expandAll(ctx, apps, s, from)
	writeFindings(streams.ErrOut, out.findings)
	if err != nil {
		return err
	}
	refused := refusal(out.findings)
	if refused == nil {
		refused = failure(out.findings, least)
	}
	if refused != nil && (o.input.given() || least != lint.Reject) {
		return refused // policies of some would be taken for those of all
	}
	var text bytes.Buffer // printed as a whole or not at all
	if err := write(&text, out.policies); err != nil {
		return fmt.Errorf("printing NetworkPolicies: %w", err)
	}
	if _, err := text.WriteTo(streams.Out); err != nil {
		return fmt.Errorf("printing NetworkPolicies: %w", err)
	}
	return refused
}

// read returns the AppTiers that are to be rendered, and where what they refer to is looked for.
func (o *renderOptions) read(ctx context.Context, streams genericiooptions.IOStreams) ([]appTier, environment.Source, error) {
	switch {
	case o.allNamespaces && (o.input.given() || !o.live):
		return nil, nil, errors.New("-A is for the AppTiers of the cluster: give it with --cluster, and without -f and -k")
	case !o.live:
		// The input does not depend on whatever cluster kubectl happens to be configured for.
		apps, objects, err := readAppTiers(streams.In, streams.ErrOut, &o.input, cmp.Or(*o.cluster.Namespace, metav1.NamespaceDefault), referenceKinds()...)
		return apps, inputWorld(objects), err
	}
	namespace, _, err := o.cluster.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, nil, fmt.Errorf("reading kubectl's configuration: %w (or leave --cluster out)", err)
	}
	if !o.input.given() {
		return o.readCluster(ctx, namespace)
	}
	apps, objects, err := readAppTiers(streams.In, streams.ErrOut, &o.input, namespace, referenceKinds()...)
	if err != nil {
		return nil, nil, err
	}
	from, err := newLiveWorld(o.cluster, inputWorld(objects))
	return apps, from, err
}

func (o *renderOptions) readCluster(ctx context.Context, namespace string) ([]appTier, environment.Source, error) {
	from, err := newLiveWorld(o.cluster, nil)
	if err != nil {
		return nil, nil, err
	}
	if o.allNamespaces {
		namespace = metav1.NamespaceAll
	}
	apps, err := from.appTiers(ctx, namespace)
	return apps, from, err
}

// expanded is what AppTiers come to.
type expanded struct {
	// policies are in the order of the AppTiers that are accepted. Others have none.
	policies []*networkingv1.NetworkPolicy
	accepted []appTier
	// expansions are what the accepted ones come to, by themselves.
	expansions map[*v1alpha1.AppTier]expand.Expansion
	findings   []finding
	unresolved []unresolved
	// environment is what the AppTiers refer to.
	environment expand.Environment
}

// expandAll expands every AppTier that is not refused, within what it refers to. References that stand
// for nobody are among the findings.
func expandAll(ctx context.Context, apps []appTier, s environment.Settings, from environment.Source) (expanded, error) {
	out, err := expandAccepted(ctx, apps, check(apps), s, from)
	for _, u := range out.unresolved {
		out.findings = append(out.findings, u.finding())
	}
	return out, err
}

// expandAccepted expands the AppTiers that no finding refuses.
func expandAccepted(ctx context.Context, apps []appTier, findings []finding, s environment.Settings, from environment.Source) (expanded, error) {
	out := expanded{findings: findings}
	for _, app := range apps {
		isRefused := func(f finding) bool { return f.source.Object == app.source.Object && f.Severity == lint.Reject }
		if !slices.ContainsFunc(findings, isRefused) {
			out.accepted = append(out.accepted, app)
		}
	}
	env, err := s.Of(ctx, model.ReferencesOf(specsOf(out.accepted)...), from)
	if err != nil {
		return out, err
	}
	out.environment, out.expansions = env, map[*v1alpha1.AppTier]expand.Expansion{}
	for _, app := range out.accepted {
		expansion := expand.Expand(app.AppTier, env)
		out.expansions[app.AppTier] = expansion
		out.policies = append(out.policies, expansion.Policies...)
		for _, u := range expansion.Unresolved {
			out.unresolved = append(out.unresolved, unresolved{u, app.source})
		}
	}
	return out, nil
}

// refusal is the answer where something is refused, or nil.
func refusal(findings []finding) error {
	if n := count(findings, lint.Reject); n > 0 {
		return &AnswerError{Code: codeNegative, Answer: fmt.Sprintf("refused: %d errors", n)}
	}
	return nil
}
