package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
)

// renderOptions are the flags of render.
type renderOptions struct {
	input           input
	namespace       string
	output          string
	clusterNetworks []string
}

func newRender(streams genericiooptions.IOStreams) *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:   "render (-f FILE|DIRECTORY|- | -k DIRECTORY)",
		Short: "Print the NetworkPolicies that AppTiers stand for",
		Long: `Print the NetworkPolicies that AppTiers stand for, as the manager applies them, in the order
in which no declared connection is ever cut. Objects of other kinds are ignored.

The cluster's DNS is taken to be the usual one: the pods labelled k8s-app=kube-dns in kube-system,
on port 53. The manager also allows the address of the DNS Service, which only the cluster knows,
and makes the AppTier the owner of its policies.

Exits with 0 when all was printed, 1 when an AppTier is refused (nothing is printed then, and the
reasons are on standard error), 2 when the input cannot be read.`,
		Example: `  # What does this AppTier mean?
  kubectl apptier render -f shop.yaml

  # Use NetworkPolicies in a cluster where apptier is not installed.
  kubectl apptier render -k overlays/production | kubectl apply -f -

  # See the policies' names alone.
  kubectl apptier render -f manifests/ -R -o name`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.run(streams) },
	}
	o.input.addFlags(cmd)
	addNamespaceFlag(cmd, &o.namespace)
	cmd.Flags().StringVarP(&o.output, "output", "o", "yaml", "How to print: yaml, json or name.")
	addClusterNetworksFlag(cmd, &o.clusterNetworks)
	return cmd
}

// addClusterNetworksFlag adds the manager's flag of this name, so that both can be told the same.
func addClusterNetworksFlag(cmd *cobra.Command, networks *[]string) {
	cmd.Flags().StringSliceVar(networks, "cluster-networks", nil,
		"Ranges of pods, services and nodes that are not private ones, as the manager was told: they are not the internet.")
}

func (o *renderOptions) run(streams genericiooptions.IOStreams) error {
	write, err := policyWriter(o.output)
	if err != nil {
		return err
	}
	env, err := environment(o.clusterNetworks)
	if err != nil {
		return err
	}
	apps, err := readAppTiers(streams.In, &o.input, o.namespace)
	if err != nil {
		return err
	}
	policies, err := render(streams.ErrOut, apps, env)
	if err != nil {
		return err
	}
	var text bytes.Buffer // printed as a whole or not at all
	if err := write(&text, policies); err != nil {
		return fmt.Errorf("printing NetworkPolicies: %w", err)
	}
	_, err = text.WriteTo(streams.Out)
	return err
}

// environment is the usual one, with what the flag adds to it.
func environment(clusterNetworks []string) (expand.Environment, error) {
	env := expand.DefaultEnvironment()
	for _, text := range clusterNetworks {
		cidr, err := netip.ParsePrefix(text)
		if err != nil {
			return env, fmt.Errorf("--cluster-networks: %w", err)
		}
		env.ClusterNetworks = append(env.ClusterNetworks, cidr.Masked())
	}
	return env, nil
}

// render expands every AppTier, or none when one is refused: policies of some would be taken for
// those of all. Findings go to messages.
func render(messages io.Writer, apps []appTier, env expand.Environment) ([]*networkingv1.NetworkPolicy, error) {
	findings := check(apps)
	writeFindings(messages, findings)
	if n := count(findings, lint.Reject); n > 0 {
		return nil, &AnswerError{Code: codeNegative, Answer: fmt.Sprintf("refused: %d errors", n)}
	}
	var policies []*networkingv1.NetworkPolicy
	for _, app := range apps {
		policies = append(policies, expand.NetworkPolicies(app.AppTier, env)...)
	}
	return policies, nil
}

// policyWriter returns what prints policies in a format.
func policyWriter(format string) (func(io.Writer, []*networkingv1.NetworkPolicy) error, error) {
	switch format {
	case "yaml":
		return each(&printers.YAMLPrinter{}), nil
	case "name":
		return each(&printers.NamePrinter{}), nil
	case "json":
		return writeList, nil
	default:
		return nil, fmt.Errorf("--output %q is not known: use yaml, json or name", format)
	}
}

func each(printer printers.ResourcePrinter) func(io.Writer, []*networkingv1.NetworkPolicy) error {
	return func(out io.Writer, policies []*networkingv1.NetworkPolicy) error {
		var problems []error
		for _, policy := range policies {
			problems = append(problems, printer.PrintObj(policy, out))
		}
		return errors.Join(problems...)
	}
}

// writeList writes one list, since JSON has no documents.
func writeList(out io.Writer, policies []*networkingv1.NetworkPolicy) error {
	list := &corev1.List{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"},
		Items:    make([]runtime.RawExtension, 0, len(policies)),
	}
	for _, policy := range policies {
		list.Items = append(list.Items, runtime.RawExtension{Object: policy})
	}
	return (&printers.JSONPrinter{}).PrintObj(list, out)
}
