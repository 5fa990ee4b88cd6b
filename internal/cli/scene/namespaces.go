package scene

import (
	"context"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// completionPatience is how long a person waits for the shell to complete a word.
const completionPatience = 2 * time.Second

// Namespaces are those of the cluster that kubectl's flags mean, for the shell to complete; none where there is no
// cluster, or it takes too long.
func Namespaces(ctx context.Context, flags *pflag.FlagSet) []string {
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	of := ClusterFlags()
	for name, to := range map[string]**string{"context": &of.Context, "kubeconfig": &of.KubeConfig, "server": &of.APIServer,
		"token": &of.BearerToken} {
		if flag := flags.Lookup(name); flag != nil && flag.Changed {
			value := flag.Value.String()
			*to = &value
		}
	}
	client, err := newClusterClient(of)
	if err != nil {
		return nil
	}
	list, err := client.core.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	var names []string
	for _, namespace := range list.Items {
		names = append(names, namespace.Name)
	}
	return names
}
