package scene

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/kube"
)

// ReferenceKinds are what AppTiers may refer to, directly or, as pods with named ports, through a
// Service.
func ReferenceKinds() []manifest.Kinds {
	return []manifest.Kinds{
		{Of: corev1.SchemeGroupVersion, Types: []runtime.Object{
			&corev1.Service{}, &corev1.ServiceList{}, &corev1.Pod{}, &corev1.PodList{}, &corev1.Node{}, &corev1.NodeList{},
		}},
		{Of: discoveryv1.SchemeGroupVersion, Types: []runtime.Object{&discoveryv1.EndpointSlice{}, &discoveryv1.EndpointSliceList{}}},
		{Of: appsv1.SchemeGroupVersion, Types: []runtime.Object{
			&appsv1.Deployment{}, &appsv1.DeploymentList{}, &appsv1.StatefulSet{}, &appsv1.StatefulSetList{},
			&appsv1.DaemonSet{}, &appsv1.DaemonSetList{}, &appsv1.ReplicaSet{}, &appsv1.ReplicaSetList{},
		}},
		{Of: batchv1.SchemeGroupVersion, Types: []runtime.Object{&batchv1.Job{}, &batchv1.JobList{}, &batchv1.CronJob{}, &batchv1.CronJobList{}}},
	}
}

// InputWorld is a world in which there is the input and nothing else.
type InputWorld []manifest.Object

// find returns the object of a type and a name, or nil.
func find[T interface {
	*U
	metav1.Object
	runtime.Object
}, U any](in InputWorld, key types.NamespacedName) (T, error) {
	var found T
	var first manifest.Object
	for _, o := range in {
		candidate, ok := o.Object.(T)
		if !ok || candidate.GetNamespace() != key.Namespace || candidate.GetName() != key.Name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s: %s, which an AppTier refers to, is also in %s: leave one of them out of the input",
				o.Origin.AtField("metadata.name"), o.Name, first.Origin)
		}
		found, first = candidate, o
	}
	return found, nil
}

// AppTier returns the AppTier of a name, for internal/environment; nil if there is none.
func (in InputWorld) AppTier(_ context.Context, key types.NamespacedName) (*v1alpha1.AppTier, error) {
	return find[*v1alpha1.AppTier](in, key)
}

// Service returns the Service of a name; nil if there is none.
func (in InputWorld) Service(_ context.Context, key types.NamespacedName) (*corev1.Service, error) {
	service, err := find[*corev1.Service](in, key)
	if service == nil || service.Spec.ClusterIP == "" || len(service.Spec.ClusterIPs) > 0 {
		return service, err
	}
	// The API server fills the one in from the other; manifests say either.
	service = service.DeepCopy()
	service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
	return service, err
}

// PodsBehind are the pods that a Service selects, or that a workload it selects would make.
func (in InputWorld) PodsBehind(_ context.Context, service *corev1.Service) ([]*corev1.Pod, error) {
	var pods []*corev1.Pod
	for _, o := range in {
		for _, pod := range podsOf(o.Object) {
			if kube.Selects(service, pod) {
				pods = append(pods, pod)
			}
		}
	}
	return pods, nil
}

// podsOf returns a pod, or those that a workload would make, as far as they differ.
func podsOf(o runtime.Object) []*corev1.Pod {
	if pod, ok := o.(*corev1.Pod); ok {
		return []*corev1.Pod{pod}
	}
	if workload := kube.WorkloadOf(o); workload != nil {
		return workload.Pods
	}
	return nil
}

// Nodes are all of the input.
func (in InputWorld) Nodes(context.Context) ([]*corev1.Node, error) {
	var nodes []*corev1.Node
	for _, o := range in {
		if node, ok := o.Object.(*corev1.Node); ok {
			nodes = append(nodes, node)
		}
	}
	return nodes, nil
}

// EndpointSlices are those of a Service.
func (in InputWorld) EndpointSlices(_ context.Context, service types.NamespacedName) ([]*discoveryv1.EndpointSlice, error) {
	var found []*discoveryv1.EndpointSlice
	for _, o := range in {
		slice, ok := o.Object.(*discoveryv1.EndpointSlice)
		if ok && slice.Namespace == service.Namespace && slice.Labels[discoveryv1.LabelServiceName] == service.Name {
			found = append(found, slice)
		}
	}
	return found, nil
}
