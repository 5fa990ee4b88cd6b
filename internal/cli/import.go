package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
)

// importOptions are the flags of import.
type importOptions struct {
	connectionOptions
	allNamespaces  bool
	narrow         bool
	output, failOn string
}

func newImport(streams genericiooptions.IOStreams) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import (FILE|DIRECTORY|-... | -k DIRECTORY | --cluster)",
		Short: "Write AppTiers in place of NetworkPolicies, and prove them",
		Long: `Write the AppTiers that say what NetworkPolicies say, and prove that they do.

Policies for the same pods become a tier, called by its workload or its labels; tiers are of one AppTier where labels
say that they are of one application (app.kubernetes.io/part-of or instance), or nothing says otherwise. What one side
may send and the other accepts becomes one declaration, at the receiver; DNS becomes spec.dns, and a denial for every
pod of the namespace isolation.scope.

What is written is compared with what was read, as diff does: of every pod that is given, would be made, or is
described by a policy, on every port and range of addresses. Each connection that differs is listed: that is so where a
port was called by its name, since an AppTier knows it by its number, and for the address of the Service of DNS.
What an AppTier cannot say stays a NetworkPolicy, and the report says why.

Calico's NetworkPolicies and Cilium's CiliumNetworkPolicies are read too, where a NetworkPolicy can say exactly the
same. Others stay, by the field that it has not: rules that deny, names of hosts, rules of HTTP, service accounts.

Prints the AppTiers, and then what stays, on standard output, and the report on standard error. Nothing is changed:
apply the AppTiers, and then delete the policies that they replace.

Give the workloads and Namespaces too: tiers are called by them, ports get their numbers, and it is known which pods
are of several tiers. With --cluster they are those of the cluster; without files its own policies are imported,
those of the namespace or with -A all.

Exits with 0 when all was read, 1 when --fail-on says so, 2 when something cannot be read.`,
		Example: `  # What would these policies be as AppTiers?
  kubectl apptier import manifests/ -R

  # Write them to a file, and read the report alone
  kubectl apptier import -k overlays/production > apptiers.yaml

  # Shorter, where no pod that is given is kept out: what is closed for others is listed
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
		"Let a peer be a tier where all pods that are given and match it are the tier's: what it allows others is closed, and listed.")
	addChoice(cmd, &o.output, "output", "o", "yaml", "How to print", "yaml", "json")
	addChoice(cmd, &o.failOn, "fail-on", "", "", "Exit with 1 if", "opened", "closed", "any", "stays")
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
	s, _, err := o.Read(ctx, streams.In, namespace, everything()...)
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
	q, err := o.look(ctx, streams, s, nil)
	if err != nil {
		return report.Import{}, err
	}
	scene.TellPartly(streams.ErrOut, q.snapshot)
	settings, err := o.Managed.Settings()
	if err != nil {
		return report.Import{}, err
	}
	return (&importing{scene: s, before: q, policies: policies, others: others, settings: settings, narrow: o.narrow}).run(ctx)
}
