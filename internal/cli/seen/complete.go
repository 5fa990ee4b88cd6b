package seen

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/scene"
)

// completionPatience is how long a shell waits.
const completionPatience = 2 * time.Second

// completeEnds completes pods and tiers of the namespace; what may not be listed is left out.
func (o *options) completeEnds(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	names := slices.Concat(o.tiers(ctx), o.pods(ctx))
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, begun) })
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

func (o *options) tiers(ctx context.Context) (names []string) {
	config, err := scene.ClusterConfig(o.cluster)
	if err != nil {
		return nil
	}
	client, err := clientFor(config, v1alpha1.GroupVersion, v1alpha1.AddToScheme)
	if err != nil {
		return nil
	}
	var list v1alpha1.AppTierList
	namespace := o.namespace()
	if client.Get().NamespaceIfScoped(namespace, namespace != "").Resource("apptiers").Do(ctx).Into(&list) != nil {
		return nil
	}
	for _, app := range list.Items {
		for _, tier := range app.Spec.Tiers {
			names = append(names, tier.Name)
		}
	}
	return names
}

func (o *options) pods(ctx context.Context) (names []string) {
	config, err := scene.ClusterConfig(o.cluster)
	if err != nil {
		return nil
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil
	}
	list, err := client.CoreV1().Pods(o.namespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	for _, pod := range list.Items {
		names = append(names, pod.Name)
	}
	return names
}

// namespace is the one asked about; empty for all.
func (o *options) namespace() string {
	namespace, _, err := o.cluster.ToRawKubeConfigLoader().Namespace()
	if err != nil || o.allNamespaces {
		return ""
	}
	return namespace
}
