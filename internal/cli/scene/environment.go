package scene

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/kube"
)

// usualDNS is the Service that clusters' DNS is reached by, unless someone named it otherwise.
const usualDNS = "kube-system/kube-dns"

// ClusterFlags are kubectl's flags that say which cluster is meant, but one: --cluster asks for the
// live objects here, and --context names a cluster of the kubeconfig and how to get in.
func ClusterFlags() *genericclioptions.ConfigFlags {
	flags := genericclioptions.NewConfigFlags(true)
	flags.ClusterName = nil
	return flags
}

// ClusterOptions are what a cluster's manager is told by flags, and what a command must be told to
// say the same.
type ClusterOptions struct {
	Networks   []string
	DnsService string
}

// AddFlags uses the manager's names.
func (o *ClusterOptions) AddFlags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&o.Networks, "cluster-networks", nil,
		"Ranges of pods, services and nodes outside the private ranges, as for the manager: they are not the internet.")
	cmd.Flags().StringVar(&o.DnsService, "dns-service", usualDNS,
		"The Service of the cluster's DNS, as namespace/name, as for the manager.")
}

// Settings are the options, understood.
func (o *ClusterOptions) Settings() (environment.Settings, error) {
	var s environment.Settings
	var valid bool
	s.DNSService.Namespace, s.DNSService.Name, valid = strings.Cut(cmp.Or(o.DnsService, usualDNS), "/")
	if !valid || s.DNSService.Namespace == "" || s.DNSService.Name == "" || strings.Contains(s.DNSService.Name, "/") {
		return s, fmt.Errorf("--dns-service %q is not namespace/name: write it as in %s", o.DnsService, usualDNS)
	}
	for _, text := range o.Networks {
		cidr, err := kube.ParseCIDR(text)
		if err != nil {
			return s, fmt.Errorf("--cluster-networks: %q is not an address range: write it as in 203.0.113.0/24", text)
		}
		s.ClusterNetworks = append(s.ClusterNetworks, cidr)
	}
	return s, nil
}
