package controllers

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
)

// apiServerService is the Service that the API server keeps for itself.
var apiServerService = types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}

// environment asks the cluster for what an AppTier refers to, and for nothing else.
func (r *AppTierReconciler) environment(ctx context.Context, app *v1alpha1.AppTier) (expand.Environment, error) {
	env := expand.DefaultEnvironment()
	env.ClusterNetworks = r.ClusterNetworks
	refs := expand.ReferencesOf(app)
	var problems []error
	if refs.ClusterDNS {
		problems = append(problems, r.gatherDNS(ctx, &env))
	}
	if refs.Nodes {
		problems = append(problems, r.gatherNodes(ctx, &env))
	}
	if refs.APIServer {
		problems = append(problems, r.gatherAPIServer(ctx, &env))
	}
	return env, errors.Join(append(problems, r.gatherAppTiers(ctx, &env, refs.AppTiers), r.gatherServices(ctx, &env, refs.Services))...)
}

func (r *AppTierReconciler) gatherDNS(ctx context.Context, env *expand.Environment) error {
	service, pods, err := r.serviceAndPods(ctx, r.DNSService)
	if service != nil { // without it the defaults hold, and it is watched for
		env.DNS = expand.DNSOfService(service, pods)
	}
	return err
}

func (r *AppTierReconciler) gatherNodes(ctx context.Context, env *expand.Environment) error {
	var nodes corev1.NodeList
	if err := r.Client.List(ctx, &nodes); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	env.Nodes = expand.NodeAddresses(pointers(nodes.Items))
	return nil
}

func (r *AppTierReconciler) gatherAPIServer(ctx context.Context, env *expand.Environment) error {
	service, err := get[corev1.Service](ctx, r.Client, apiServerService)
	if err != nil {
		return err
	}
	var endpoints discoveryv1.EndpointSliceList
	err = r.Client.List(ctx, &endpoints, client.InNamespace(apiServerService.Namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: apiServerService.Name})
	if err != nil {
		return fmt.Errorf("listing the endpoints of the API server: %w", err)
	}
	env.APIServer = expand.APIServerOf(service, pointers(endpoints.Items))
	return nil
}

// gatherAppTiers leaves out what is not valid, or about to go: it stands for nobody.
func (r *AppTierReconciler) gatherAppTiers(ctx context.Context, env *expand.Environment, keys []types.NamespacedName) error {
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	for _, key := range keys {
		other, err := get[v1alpha1.AppTier](ctx, r.Client, key)
		if err != nil {
			return err
		}
		if other != nil && other.DeletionTimestamp.IsZero() && len(lint.WithSeverity(lint.AppTier(other), lint.Reject)) == 0 {
			env.AppTiers[key] = other
		}
	}
	return nil
}

func (r *AppTierReconciler) gatherServices(ctx context.Context, env *expand.Environment, keys []types.NamespacedName) error {
	env.Services = map[types.NamespacedName]expand.Service{}
	for _, key := range keys {
		service, pods, err := r.serviceAndPods(ctx, key)
		if err != nil {
			return err
		}
		if service != nil {
			env.Services[key] = expand.ServiceOf(service, pods)
		}
	}
	return nil
}

// serviceAndPods returns a Service, if it exists, and the pods behind it if they are needed: they
// declare the numbers of target ports that are names.
func (r *AppTierReconciler) serviceAndPods(ctx context.Context, key types.NamespacedName) (*corev1.Service, []*corev1.Pod, error) {
	service, err := get[corev1.Service](ctx, r.Client, key)
	if err != nil || service == nil || !hasNamedTarget(service) || len(service.Spec.Selector) == 0 {
		return service, nil, err
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(key.Namespace), client.MatchingLabels(service.Spec.Selector)); err != nil {
		return service, nil, fmt.Errorf("listing the pods behind Service %s: %w", key, err)
	}
	return service, pointers(pods.Items), nil
}

func hasNamedTarget(service *corev1.Service) bool {
	for _, port := range service.Spec.Ports {
		if port.TargetPort.Type == intstr.String {
			return true
		}
	}
	return false
}

// get returns an object, or nil if there is none.
func get[T any, P interface {
	*T
	client.Object
}](ctx context.Context, reader client.Reader, key types.NamespacedName) (P, error) {
	object := P(new(T))
	if err := reader.Get(ctx, key, object); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("reading %T %s: %w", object, key, err)
	}
	return object, nil
}
