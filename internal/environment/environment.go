// Package environment looks up what AppTiers refer to: in the manager's cache, in manifests, or in a
// cluster, with the same rules.
package environment

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// Source is where things are looked up. An object that does not exist is nil.
type Source interface {
	AppTier(ctx context.Context, key types.NamespacedName) (*v1alpha1.AppTier, error)
	Service(ctx context.Context, key types.NamespacedName) (*corev1.Service, error)
	// PodsBehind returns the pods that a Service selects, also pods that workloads have yet to make.
	PodsBehind(ctx context.Context, service *corev1.Service) ([]*corev1.Pod, error)
	Nodes(ctx context.Context) ([]*corev1.Node, error)
	EndpointSlices(ctx context.Context, service types.NamespacedName) ([]*discoveryv1.EndpointSlice, error)
}

// Settings are what no object of a cluster says.
type Settings struct {
	// DNSService is the Service of the cluster's DNS.
	DNSService types.NamespacedName
	// ClusterNetworks are further ranges that are not part of the internet.
	ClusterNetworks []netip.Prefix
}

// Of looks up only the given references. Its error names everything that could not be read.
func (s Settings) Of(ctx context.Context, wanted model.References, from Source) (expand.Environment, error) {
	env := expand.DefaultEnvironment()
	env.ClusterNetworks = s.ClusterNetworks
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	env.Services = map[types.NamespacedName]expand.Service{}
	var problems []error
	if wanted.ClusterDNS {
		problems = append(problems, lookUpDNS(ctx, &env, s.DNSService, from))
	}
	if wanted.Nodes {
		nodes, err := from.Nodes(ctx)
		env.Nodes = expand.NodeAddresses(nodes)
		problems = append(problems, err)
	}
	if wanted.APIServer {
		problems = append(problems, lookUpAPIServer(ctx, &env, from))
	}
	for _, key := range wanted.AppTiers {
		problems = append(problems, lookUpAppTier(ctx, &env, key, from))
	}
	for _, key := range wanted.Services {
		problems = append(problems, lookUpService(ctx, &env, key, from))
	}
	return env, errors.Join(problems...)
}

// lookUpDNS keeps the defaults if there is no such Service.
func lookUpDNS(ctx context.Context, env *expand.Environment, key types.NamespacedName, from Source) error {
	service, pods, err := serviceAndPods(ctx, key, from)
	if service != nil && err == nil {
		env.DNS = expand.DNSOfService(service, pods)
	}
	return err
}

func lookUpAPIServer(ctx context.Context, env *expand.Environment, from Source) error {
	service, err := from.Service(ctx, kube.APIServer)
	endpoints, endpointsErr := from.EndpointSlices(ctx, kube.APIServer)
	env.APIServer = expand.APIServerOf(service, endpoints)
	return errors.Join(err, endpointsErr)
}

// lookUpAppTier leaves out an AppTier that is invalid or being deleted: a reference to it matches nothing.
func lookUpAppTier(ctx context.Context, env *expand.Environment, key types.NamespacedName, from Source) error {
	app, err := from.AppTier(ctx, key)
	if err == nil && app != nil && app.DeletionTimestamp.IsZero() && len(check.WithSeverity(lint.AppTier(app), check.Reject)) == 0 {
		env.AppTiers[key] = app
	}
	return err
}

func lookUpService(ctx context.Context, env *expand.Environment, key types.NamespacedName, from Source) error {
	service, pods, err := serviceAndPods(ctx, key, from)
	if err == nil && service != nil {
		env.Services[key] = expand.ServiceOf(service, pods)
	}
	return err
}

// serviceAndPods looks for a Service and, if it needs them to say its ports, the pods behind it.
func serviceAndPods(ctx context.Context, key types.NamespacedName, from Source) (*corev1.Service, []*corev1.Pod, error) {
	service, err := from.Service(ctx, key)
	if err != nil || service == nil || !NamesPorts(service) {
		return service, nil, err
	}
	pods, err := from.PodsBehind(ctx, service)
	return service, pods, err
}

// NamesPorts says whether the pods behind a Service decide the numbers of its target ports.
func NamesPorts(service *corev1.Service) bool {
	return len(service.Spec.Selector) > 0 &&
		slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.TargetPort.Type == intstr.String })
}
