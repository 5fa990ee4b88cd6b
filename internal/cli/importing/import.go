// Package importing converts NetworkPolicies, and those of network plugins, to AppTiers: it is the command import.
//
// It reads the policies and what is around them; policy/adopt converts, and package diff describes what would change.
package importing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
)

// importOptions are the flags of import.
type importOptions struct {
	ask.Options
	allNamespaces  bool
	narrow         bool
	output, failOn string
}

// NewCommand returns the command import.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import (FILE|DIRECTORY|-... | -k DIRECTORY | --cluster)",
		Short: "Convert NetworkPolicies to AppTiers, and prove that they allow the same",
		Long: `Convert NetworkPolicies to AppTiers, and prove that they allow the same connections.

Policies for the same pods become a tier, named after its workload or its labels. Tiers go into one AppTier if labels say
that they belong to one application (app.kubernetes.io/part-of or instance), or if no label says otherwise. A connection
that one side may send and the other accepts becomes one declaration, at the receiver. DNS becomes spec.dns, and a denial
for every pod of the namespace becomes isolation.scope.

The result is compared with the input, as diff does: for every pod of the input, every pod that its workloads would make,
and one pod for each policy that describes it, on every port and range of addresses. The report lists each connection that
differs: for a named port, because an AppTier needs its number, and for the address of the DNS Service. What an AppTier
cannot say stays a NetworkPolicy, and the report says why.

Calico's NetworkPolicies and Cilium's CiliumNetworkPolicies are read as well, if a NetworkPolicy can say exactly the same.
Others stay, and the report names the field that NetworkPolicies lack: rules that deny, host names, HTTP rules, service
accounts.

Prints the AppTiers, and then what stays, on standard output, and the report on standard error. It changes nothing: apply
the AppTiers, and then delete the policies that they replace.

Give the workloads and Namespaces as well: they name the tiers, give ports their numbers, and show which pods are in several
tiers. With --cluster they come from the cluster. Without files, --cluster imports the cluster's own policies: of the
namespace, or with -A of all.

Exits with 0 when everything was read, 1 when --fail-on applies, 2 when something cannot be read.`,
		Example: `  # What would these policies be as AppTiers?
  kubectl apptier import manifests/ -R

  # Write them to a file, and read only the report
  kubectl apptier import -k overlays/production > apptiers.yaml

  # Shorter, with nothing closed for pods of the input: what is closed for others is listed
  kubectl apptier import manifests/ -R --narrow

  # All of the cluster's policies, with its pods and namespaces
  kubectl apptier import --cluster -A

  # Fail if anything would be opened
  kubectl get networkpolicies,deployments,statefulsets -n shop -o yaml | kubectl apptier import - --fail-on opened`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Input.AddFiles(args...)
			return o.run(cmd.Context(), streams)
		},
	}
	o.AddFlags(cmd, "Import what the cluster holds, or the input as it would be in the cluster.")
	cmd.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "With --cluster and without input: the policies of every namespace.")
	cmd.Flags().BoolVar(&o.narrow, "narrow", false,
		"Write a peer as a tier if all its pods in the input are in the tier. This closes what the peer allows other pods, and lists it.")
	flags.Choice(cmd, &o.output, "output", "o", "yaml", "How to print", "yaml", "json")
	flags.Choice(cmd, &o.failOn, "fail-on", "", "", "Exit with 1 if", "opened", "closed", "any", "stays")
	return cmd
}

func (o *importOptions) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	if !slices.Contains([]string{"yaml", "json"}, o.output) {
		return fmt.Errorf("--output %q is not known: use yaml or json", o.output)
	}
	if !slices.Contains([]string{"", "opened", "closed", "any", "stays"}, o.failOn) {
		return fmt.Errorf("--fail-on %q is not known: use opened, closed, any or stays", o.failOn)
	}
	if o.allNamespaces && (o.Input.Given() || !o.Live) {
		return errors.New("-A is for the policies of the cluster: give it with --cluster, and without -f and -k")
	}
	imported, err := o.importAll(ctx, streams)
	if err != nil {
		return err
	}
	if o.output == "json" {
		err = report.WriteImportJSON(streams.Out, imported)
	} else if err = report.WriteImported(streams.Out, imported); err == nil {
		err = report.WriteImportReport(streams.ErrOut, imported)
	}
	if err != nil {
		return fmt.Errorf("printing what was imported: %w", err)
	}
	return o.failure(imported)
}

// failure is the answer that --fail-on asks for, or nil.
func (o *importOptions) failure(imported report.Import) error {
	opened, closed := imported.Changes.Count()
	fails := map[string]bool{"opened": opened > 0, "closed": closed > 0, "any": opened+closed > 0, "stays": imported.Staying() > 0}
	if fails[o.failOn] {
		return &exit.AnswerError{Code: exit.Negative, Answer: "what was imported is not what --fail-on asks for"}
	}
	return nil
}

// importAll reads policies, and returns what they become.
func (o *importOptions) importAll(ctx context.Context, streams genericiooptions.IOStreams) (report.Import, error) {
	namespace, err := o.Namespace()
	if err != nil {
		return report.Import{}, err
	}
	s, _, err := o.Read(ctx, streams.In, namespace, ask.Everything()...)
	if err != nil {
		return report.Import{}, err
	}
	objects := s.Input
	if !o.Input.Given() {
		objects = slices.DeleteFunc(slices.Clone(s.Live), func(live manifest.Object) bool {
			accessor, err := meta.Accessor(live.Object)
			return err != nil || !o.allNamespaces && accessor.GetNamespace() != namespace
		})
	}
	policies, others := scene.HandWritten(objects), foreignAmong(objects, s.OtherPolicies(), namespace)
	if o.Input.Given() && len(policies)+len(others) == 0 {
		return report.Import{}, errors.New("the input holds no NetworkPolicy that somebody wrote: nothing to import")
	}
	report.WriteFindings(streams.ErrOut, slices.DeleteFunc(s.NotJudged(), func(f manifest.Finding) bool {
		return slices.ContainsFunc(others, func(o foreign) bool { return o.Object.Object == f.Source.Object })
	}))
	q, err := o.Look(ctx, streams, s, nil)
	if err != nil {
		return report.Import{}, err
	}
	scene.TellPartly(streams.ErrOut, q.Snapshot)
	settings, err := o.Managed.Settings()
	if err != nil {
		return report.Import{}, err
	}
	return (&importing{before: q, policies: policies, others: others, settings: settings, narrow: o.narrow}).run(ctx)
}
