package scene

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/environment"
)

// LiveWorld is what a cluster holds now, behind what the input would make of it: an object of the
// input hides the live one of its name.
type LiveWorld struct {
	input InputWorld
	*clusterClient
}

// NewLiveWorld connects to the cluster that kubectl's flags mean.
func NewLiveWorld(cluster *genericclioptions.ConfigFlags, input InputWorld) (*LiveWorld, error) {
	client, err := newClusterClient(cluster)
	if err != nil {
		return nil, err
	}
	return &LiveWorld{input: input, clusterClient: client}, nil
}

// AppTiers returns the AppTiers of a namespace, or of all if it is empty.
func (w *LiveWorld) AppTiers(ctx context.Context, namespace string) ([]AppTier, error) {
	live, err := w.appTiersIn(ctx, namespace)
	if apierrors.IsNotFound(err) {
		return nil, errors.New("the cluster knows no AppTiers: install apptier in it, or give AppTiers with -f or -k")
	}
	return AppTiers(live), err
}

func typed(o *unstructured.Unstructured) (*v1alpha1.AppTier, error) {
	var app v1alpha1.AppTier
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &app); err != nil {
		return nil, fmt.Errorf("reading AppTier %s: %w", manifest.Qualified(o), err)
	}
	return &app, nil
}

// AppTier returns the AppTier of a name, for internal/environment.
func (w *LiveWorld) AppTier(ctx context.Context, key types.NamespacedName) (*v1alpha1.AppTier, error) {
	if app, err := w.input.AppTier(ctx, key); app != nil || err != nil {
		return app, err
	}
	live, err := w.apps.Namespace(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading AppTier %s: %w", key, err)
	}
	app, err := typed(live)
	if err != nil || !app.DeletionTimestamp.IsZero() {
		return nil, err
	}
	return app, nil
}

// Service returns the Service of a name.
func (w *LiveWorld) Service(ctx context.Context, key types.NamespacedName) (*corev1.Service, error) {
	given, err := w.input.Service(ctx, key)
	if err != nil {
		return nil, err
	}
	live, err := w.core.CoreV1().Services(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return given, nil
	case err != nil:
		return nil, fmt.Errorf("reading Service %s: %w", key, err)
	case given == nil:
		return live, nil
	}
	if len(given.Spec.ClusterIPs) == 0 { // they stay what they are when a manifest is applied
		given = given.DeepCopy()
		given.Spec.ClusterIPs = live.Spec.ClusterIPs
	}
	return given, nil
}

// PodsBehind returns old and new pods: in a rollout, there are both.
func (w *LiveWorld) PodsBehind(ctx context.Context, service *corev1.Service) ([]*corev1.Pod, error) {
	given, err := w.input.PodsBehind(ctx, service)
	if err != nil {
		return nil, err
	}
	selector := labels.SelectorFromSet(service.Spec.Selector).String()
	live, err := w.core.CoreV1().Pods(service.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("listing the pods behind Service %s: %w", manifest.Qualified(service), err)
	}
	return append(given, environment.Pointers(live.Items)...), nil
}

// Nodes returns all nodes.
func (w *LiveWorld) Nodes(ctx context.Context) ([]*corev1.Node, error) {
	live, err := w.core.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return environment.Pointers(live.Items), nil
}

// EndpointSlices returns the slices of a Service.
func (w *LiveWorld) EndpointSlices(ctx context.Context, service types.NamespacedName) ([]*discoveryv1.EndpointSlice, error) {
	selector := labels.Set{discoveryv1.LabelServiceName: service.Name}.String()
	live, err := w.core.DiscoveryV1().EndpointSlices(service.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("listing the EndpointSlices of Service %s: %w", service, err)
	}
	return environment.Pointers(live.Items), nil
}
