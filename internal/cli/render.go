package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/draw"
	"github.com/apptier/apptier/policy/lint/check"
)

// renderOptions are the flags of render.
type renderOptions struct {
	input         manifest.Input
	cluster       *genericclioptions.ConfigFlags
	managed       scene.ClusterOptions
	output        string
	live          bool
	allNamespaces bool
	failOn        string
}

func newRender(streams genericiooptions.IOStreams) *cobra.Command {
	o := renderOptions{cluster: scene.ClusterFlags()}
	cmd := &cobra.Command{
		Use:   "render (FILE|DIRECTORY|-... | -k DIRECTORY | --cluster)",
		Short: "Print the NetworkPolicies of AppTiers",
		Long: `Print the NetworkPolicies of AppTiers, as the manager applies them, in the order
in which no declared connection is ever cut; of AppTiers in mode Audit, their StagedNetworkPolicies.
Objects of kinds that AppTiers cannot refer to are ignored.

The input should hold what AppTiers refer to: other AppTiers, Services with the pods and workloads
behind them, Nodes, the Service default/kubernetes with its EndpointSlices, and the Service of the
cluster's DNS. What is missing is left out of the policies, and a warning says so. Without a DNS
Service, the usual one applies: pods labelled k8s-app=kube-dns in kube-system, port 53.

With --cluster, what the input lacks is looked up in the cluster. Without input, --cluster prints the
policies of the cluster's own AppTiers as the manager writes them, except for owner references. Of two
AppTiers that conflict, the manager keeps the older.

Exits with 0 when everything was printed, 1 when an AppTier is refused, or there is a warning with --fail-on
warning, 2 when the input or the cluster cannot be read. Then the reasons are on standard error, and nothing of
the input is printed; if AppTiers of the cluster are refused, the others are printed. Use --fail-on warning
before you apply the output: what is left out of a policy is denied.`,
		Example: `  # What does this AppTier mean?
  kubectl apptier render -f shop.yaml

  # Use NetworkPolicies in a cluster where apptier is not installed.
  kubectl apptier render -k overlays/production --fail-on warning | kubectl apply -f -

  # What would it mean in this cluster, with its Services and nodes?
  kubectl apptier render -f shop.yaml --cluster

  # See only the names of all that the manager applies.
  kubectl apptier render --cluster -A -o name

  # Draw what the AppTiers declare, for a README or a pull request.
  kubectl apptier render -f shop.yaml -o mermaid`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.input.AddFiles(args...)
			return o.run(cmd.Context(), streams)
		},
	}
	o.input.AddFlags(cmd)
	o.cluster.AddFlags(cmd.Flags())
	o.managed.AddFlags(cmd)
	flags.Choice(cmd, &o.output, "output", "o", "yaml", "How to print: the NetworkPolicies, or, with mermaid, a picture of the AppTiers",
		"yaml", "json", "name", "mermaid")
	report.AddFailOn(cmd, &o.failOn)
	// Not --cluster: everywhere in kubectl, that names a cluster of the kubeconfig file.
	cmd.Flags().BoolVar(&o.live, "cluster", false,
		"Also look in the cluster for what AppTiers refer to; without input, render the cluster's AppTiers.")
	cmd.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "With --cluster and without input: the AppTiers of every namespace.")
	return cmd
}

func (o *renderOptions) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	write, err := o.writer()
	if err != nil {
		return err
	}
	least, err := report.SeverityOf(o.failOn)
	if err != nil {
		return err
	}
	s, err := o.managed.Settings()
	if err != nil {
		return err
	}
	apps, from, err := o.read(ctx, streams)
	if err != nil {
		return err
	}
	out, err := scene.ExpandAll(ctx, apps, s, from)
	report.WriteFindings(streams.ErrOut, out.Findings)
	if err != nil {
		return err
	}
	refused := scene.Refusal(out.Findings)
	if refused == nil {
		refused = report.Failure(out.Findings, least)
	}
	if refused != nil && (o.input.Given() || least != check.Reject) {
		return refused // policies of some would be taken for those of all
	}
	var text bytes.Buffer // printed as a whole or not at all
	if err := write(&text, apps, out.Generated()); err != nil {
		return fmt.Errorf("printing NetworkPolicies: %w", err)
	}
	if _, err := text.WriteTo(streams.Out); err != nil {
		return fmt.Errorf("printing NetworkPolicies: %w", err)
	}
	return refused
}

// writer returns what prints AppTiers or their policies.
func (o *renderOptions) writer() (func(io.Writer, []scene.AppTier, []runtime.Object) error, error) {
	if o.output == "mermaid" {
		return func(out io.Writer, apps []scene.AppTier, _ []runtime.Object) error {
			drawn := make([]*v1alpha1.AppTier, 0, len(apps))
			for _, app := range apps {
				drawn = append(drawn, app.AppTier)
			}
			_, err := io.WriteString(out, draw.Mermaid(drawn...))
			return err
		}, nil
	}
	write, err := policyWriter(o.output)
	if err != nil {
		return nil, err
	}
	return func(out io.Writer, _ []scene.AppTier, policies []runtime.Object) error {
		return write(out, policies)
	}, nil
}

// read returns the AppTiers that are to be rendered, and where what they refer to is looked for.
func (o *renderOptions) read(ctx context.Context, streams genericiooptions.IOStreams) ([]scene.AppTier, environment.Source, error) {
	switch {
	case o.allNamespaces && (o.input.Given() || !o.live):
		return nil, nil, errors.New("-A is for the AppTiers of the cluster: give it with --cluster, and without -f and -k")
	case !o.live:
		// The input does not depend on kubectl's configuration.
		apps, objects, err := readAppTiers(streams.In, streams.ErrOut, &o.input, cmp.Or(*o.cluster.Namespace, metav1.NamespaceDefault),
			scene.ReferenceKinds()...)
		return apps, scene.InputWorld(objects), err
	}
	namespace, _, err := o.cluster.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, nil, fmt.Errorf("reading kubectl's configuration: %w (or leave --cluster out)", err)
	}
	if !o.input.Given() {
		return o.readCluster(ctx, namespace)
	}
	apps, objects, err := readAppTiers(streams.In, streams.ErrOut, &o.input, namespace, scene.ReferenceKinds()...)
	if err != nil {
		return nil, nil, err
	}
	from, err := scene.NewLiveWorld(o.cluster, scene.InputWorld(objects))
	return apps, from, err
}

func (o *renderOptions) readCluster(ctx context.Context, namespace string) ([]scene.AppTier, environment.Source, error) {
	from, err := scene.NewLiveWorld(o.cluster, nil)
	if err != nil {
		return nil, nil, err
	}
	if o.allNamespaces {
		namespace = metav1.NamespaceAll
	}
	apps, err := from.AppTiers(ctx, namespace)
	return apps, from, err
}

// readAppTiers returns the AppTiers of the input, in its order, at least one, and its objects of
// more kinds.
func readAppTiers(stdin io.Reader, messages io.Writer, in *manifest.Input, namespace string,
	more ...manifest.Kinds) ([]scene.AppTier, []manifest.Object, error) {
	documents, err := in.Read(stdin)
	if err != nil {
		return nil, nil, err
	}
	d := manifest.NewDecoder(namespace, more...)
	if err := d.Decode(documents); err != nil {
		return nil, nil, err
	}
	report.WriteFindings(messages, d.LeftOut)
	apps := scene.AppTiers(d.Objects)
	if len(apps) == 0 {
		return nil, nil, d.NothingFound()
	}
	return apps, d.Objects, nil
}
