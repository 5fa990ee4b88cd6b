package environment

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Cached looks things up in the manager's cache.
type Cached struct{ client.Reader }

var _ Source = Cached{}

// AppTier returns an AppTier, or nil.
func (c Cached) AppTier(ctx context.Context, key types.NamespacedName) (*v1alpha1.AppTier, error) {
	return get[v1alpha1.AppTier](ctx, c, key)
}

// Service returns a Service, or nil.
func (c Cached) Service(ctx context.Context, key types.NamespacedName) (*corev1.Service, error) {
	return get[corev1.Service](ctx, c, key)
}

// PodsBehind returns the pods that a Service selects.
func (c Cached) PodsBehind(ctx context.Context, service *corev1.Service) ([]*corev1.Pod, error) {
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(service.Namespace), client.MatchingLabels(service.Spec.Selector)); err != nil {
		return nil, fmt.Errorf("listing the pods behind Service %s/%s: %w", service.Namespace, service.Name, err)
	}
	return Pointers(pods.Items), nil
}

// Nodes returns every node.
func (c Cached) Nodes(ctx context.Context) ([]*corev1.Node, error) {
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return Pointers(nodes.Items), nil
}

// EndpointSlices returns the slices of a Service; the cache has only the API server's.
func (c Cached) EndpointSlices(ctx context.Context, service types.NamespacedName) ([]*discoveryv1.EndpointSlice, error) {
	var endpoints discoveryv1.EndpointSliceList
	err := c.List(ctx, &endpoints, client.InNamespace(service.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: service.Name})
	if err != nil {
		return nil, fmt.Errorf("listing the EndpointSlices of Service %s: %w", service, err)
	}
	return Pointers(endpoints.Items), nil
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

// Pointers are those to the items of a list that the API server answered, as the pure core takes objects.
func Pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
