// Package krm adds NetworkPolicies to the resources of kustomize and kpt: it is the command fn, a KRM function.
package krm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/kustomize/kyaml/fn/framework"
	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/internal/environment"
)

// NewCommand returns the command fn.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:   "fn",
		Short: "Add NetworkPolicies to a ResourceList, as a function of kustomize and kpt",
		Long: `Add to a ResourceList on standard input the NetworkPolicies of its AppTiers, as render
prints them. It is a KRM function, for clusters in which apptier's manager does not run. It updates
policies that were generated before, removes the ones that are no longer needed, and leaves everything
else unchanged. It looks in the list for what AppTiers refer to.

The functionConfig may be a ConfigMap with data:
  cluster-networks  ranges of pods, services and nodes outside the private ranges, separated by commas
  dns-service       the Service of the cluster's DNS, as namespace/name; kube-system/kube-dns if unset
  keep-apptiers     "false" removes the AppTiers, which a cluster without apptier does not know

Exits with 0 when everything was added, 1 when something in the list is refused (then the list is
printed unchanged, with the reasons in its results and on standard error), 2 when there is no
ResourceList, or its functionConfig is invalid.`,
		Example: `  # In the transformers of a kustomization: config/samples/kustomize-function
  kustomize build --enable-alpha-plugins --enable-exec overlays/production

  # With kpt
  kpt fn eval package/ --exec "kubectl-apptier fn" -- keep-apptiers=false

  # By itself
  kubectl apptier fn < resourcelist.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runFn(cmd.Context(), streams) },
	}
}

func runFn(ctx context.Context, streams genericiooptions.IOStreams) error {
	var out bytes.Buffer // printed only if there was a ResourceList
	list := &kio.ByteReadWriter{Reader: streams.In, Writer: &out, KeepReaderAnnotations: true}
	err := framework.Execute(framework.ResourceListProcessorFunc(func(rl *framework.ResourceList) error {
		if list.WrappingKind != kio.ResourceListKind {
			return errors.New("standard input is no ResourceList: have kustomize or kpt run this, or give manifests to render with -f")
		}
		list.Results = nil // those of an earlier function are not this one's
		config, err := readFnConfig(rl.FunctionConfig)
		if err != nil {
			return fmt.Errorf("functionConfig: %w", err)
		}
		f := function{config: config}
		err = f.process(ctx, rl)
		report.WriteFindings(streams.ErrOut, f.findings) // kustomize shows no results
		return err
	}), list)
	var answer *exit.AnswerError
	if err != nil && !errors.As(err, &answer) {
		return err
	}
	if _, writeErr := out.WriteTo(streams.Out); writeErr != nil {
		return fmt.Errorf("printing the ResourceList: %w", writeErr)
	}
	return err
}

// fnConfig is what a functionConfig says.
type fnConfig struct {
	environment.Settings
	keepAppTiers bool
}

func readFnConfig(node *yaml.RNode) (fnConfig, error) {
	config := fnConfig{keepAppTiers: true}
	var managed scene.ClusterOptions
	data := map[string]string{}
	if !yaml.IsMissingOrNull(node) {
		if kind := node.GetKind(); kind != "ConfigMap" {
			return config, fmt.Errorf("kind %q is not known: use a ConfigMap", kind)
		}
		data = node.GetDataMap()
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		switch value := data[key]; key {
		case "cluster-networks":
			managed.Networks = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
		case "dns-service":
			managed.DnsService = value
		case "keep-apptiers":
			if value != "true" && value != "false" {
				return config, fmt.Errorf("data.keep-apptiers is %q: write \"true\" or \"false\"", value)
			}
			config.keepAppTiers = value == "true"
		default:
			return config, fmt.Errorf("data.%s is not known: use cluster-networks, dns-service or keep-apptiers", key)
		}
	}
	var err error
	config.Settings, err = managed.Settings()
	return config, err
}
