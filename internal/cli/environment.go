package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
)

// usualDNS is the Service that clusters' DNS is reached by, unless someone named it otherwise.
const usualDNS = "kube-system/kube-dns"

// apiServer is the Service that the API server keeps for itself.
var apiServer = types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}

// clusterOptions are what a cluster's manager is told by flags, and what a command must be told to
// say the same.
type clusterOptions struct {
	networks   []string
	dnsService string
}

// addFlags uses the manager's names.
func (o *clusterOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&o.networks, "cluster-networks", nil,
		"Ranges of pods, services and nodes that are not private ones, as the manager was told: they are not the internet.")
	cmd.Flags().StringVar(&o.dnsService, "dns-service", usualDNS,
		"The Service that the cluster's DNS is reached by, as namespace/name, as the manager was told.")
}

// settings are clusterOptions that have been understood.
type settings struct {
	networks   []netip.Prefix
	dnsService types.NamespacedName
}

func (o *clusterOptions) settings() (settings, error) {
	var s settings
	var valid bool
	s.dnsService.Namespace, s.dnsService.Name, valid = strings.Cut(cmp.Or(o.dnsService, usualDNS), "/")
	if !valid || s.dnsService.Namespace == "" || s.dnsService.Name == "" || strings.Contains(s.dnsService.Name, "/") {
		return s, fmt.Errorf("--dns-service %q is not namespace/name: write it as in %s", o.dnsService, usualDNS)
	}
	for _, text := range o.networks {
		cidr, err := netip.ParsePrefix(text)
		if err != nil {
			return s, fmt.Errorf("--cluster-networks: %w", err)
		}
		s.networks = append(s.networks, cidr.Masked())
	}
	return s, nil
}

// world is where what AppTiers refer to is looked for: among the input's objects, in a cluster, or
// in both. An object that does not exist is nil.
type world interface {
	appTier(ctx context.Context, key types.NamespacedName) (*v1alpha1.AppTier, error)
	service(ctx context.Context, key types.NamespacedName) (*corev1.Service, error)
	// podsBehind returns the pods that a Service selects, and those yet to be made that it will.
	podsBehind(ctx context.Context, service *corev1.Service) ([]*corev1.Pod, error)
	nodes(ctx context.Context) ([]*corev1.Node, error)
	endpointSlices(ctx context.Context, service types.NamespacedName) ([]*discoveryv1.EndpointSlice, error)
}

// environment looks up what AppTiers refer to, and nothing else.
func (s settings) environment(ctx context.Context, apps []appTier, from world) (expand.Environment, error) {
	env := expand.DefaultEnvironment()
	env.ClusterNetworks = s.networks
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	env.Services = map[types.NamespacedName]expand.Service{}
	wanted := references(apps)
	problems := []error{
		lookUpDNS(ctx, &env, wanted.ClusterDNS, s.dnsService, from),
		lookUpNodes(ctx, &env, wanted.Nodes, from),
		lookUpAPIServer(ctx, &env, wanted.APIServer, from),
	}
	for _, key := range wanted.AppTiers {
		problems = append(problems, lookUpAppTier(ctx, &env, key, from))
	}
	for _, key := range wanted.Services {
		problems = append(problems, lookUpService(ctx, &env, key, from))
	}
	return env, errors.Join(problems...)
}

// references are those of every AppTier, each once.
func references(apps []appTier) expand.References {
	var all expand.References
	for _, app := range apps {
		r := expand.ReferencesOf(app.AppTier)
		all.AppTiers = append(all.AppTiers, r.AppTiers...)
		all.Services = append(all.Services, r.Services...)
		all.Nodes = all.Nodes || r.Nodes
		all.APIServer = all.APIServer || r.APIServer
		all.ClusterDNS = all.ClusterDNS || r.ClusterDNS
	}
	all.AppTiers, all.Services = once(all.AppTiers), once(all.Services)
	return all
}

func once(keys []types.NamespacedName) []types.NamespacedName {
	slices.SortFunc(keys, func(a, b types.NamespacedName) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(keys)
}

func lookUpDNS(ctx context.Context, env *expand.Environment, wanted bool, key types.NamespacedName, from world) error {
	if !wanted {
		return nil
	}
	service, pods, err := serviceAndPods(ctx, key, from)
	if service != nil && err == nil { // without it the defaults hold, as they do in the manager
		env.DNS = expand.DNSOfService(service, pods)
	}
	return err
}

func lookUpNodes(ctx context.Context, env *expand.Environment, wanted bool, from world) error {
	if !wanted {
		return nil
	}
	nodes, err := from.nodes(ctx)
	env.Nodes = expand.NodeAddresses(nodes)
	return err
}

func lookUpAPIServer(ctx context.Context, env *expand.Environment, wanted bool, from world) error {
	if !wanted {
		return nil
	}
	service, err := from.service(ctx, apiServer)
	slices, sliceErr := from.endpointSlices(ctx, apiServer)
	env.APIServer = expand.APIServerOf(service, slices)
	return errors.Join(err, sliceErr)
}

// lookUpAppTier leaves out what is not valid, as the manager does: it stands for nobody.
func lookUpAppTier(ctx context.Context, env *expand.Environment, key types.NamespacedName, from world) error {
	app, err := from.appTier(ctx, key)
	if err == nil && app != nil && len(lint.WithSeverity(lint.AppTier(app), lint.Reject)) == 0 {
		env.AppTiers[key] = app
	}
	return err
}

func lookUpService(ctx context.Context, env *expand.Environment, key types.NamespacedName, from world) error {
	service, pods, err := serviceAndPods(ctx, key, from)
	if err == nil && service != nil {
		env.Services[key] = expand.ServiceOf(service, pods)
	}
	return err
}

// serviceAndPods looks for a Service and, if it needs them to say its ports, the pods behind it.
func serviceAndPods(ctx context.Context, key types.NamespacedName, from world) (*corev1.Service, []*corev1.Pod, error) {
	service, err := from.service(ctx, key)
	if err != nil || service == nil || !namesPorts(service) {
		return service, nil, err
	}
	pods, err := from.podsBehind(ctx, service)
	return service, pods, err
}

func namesPorts(service *corev1.Service) bool {
	return len(service.Spec.Selector) > 0 && slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.TargetPort.Type == intstr.String })
}
