package cli

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
	"github.com/apptier/apptier/policy/kube"
)

// referenceKinds are what AppTiers may refer to, directly or, as pods with named ports, through a
// Service.
func referenceKinds() []kinds {
	return []kinds{
		{corev1.SchemeGroupVersion, []runtime.Object{
			&corev1.Service{}, &corev1.ServiceList{}, &corev1.Pod{}, &corev1.PodList{}, &corev1.Node{}, &corev1.NodeList{},
		}},
		{discoveryv1.SchemeGroupVersion, []runtime.Object{&discoveryv1.EndpointSlice{}, &discoveryv1.EndpointSliceList{}}},
		{appsv1.SchemeGroupVersion, []runtime.Object{
			&appsv1.Deployment{}, &appsv1.DeploymentList{}, &appsv1.StatefulSet{}, &appsv1.StatefulSetList{},
			&appsv1.DaemonSet{}, &appsv1.DaemonSetList{}, &appsv1.ReplicaSet{}, &appsv1.ReplicaSetList{},
		}},
		{batchv1.SchemeGroupVersion, []runtime.Object{&batchv1.Job{}, &batchv1.JobList{}, &batchv1.CronJob{}, &batchv1.CronJobList{}}},
	}
}

// mayRepeat says whether the input may hold two objects of the same name: folders often hold an
// object and, for kustomize, patches of it. Who asks for one by its name is told, and nobody else.
func mayRepeat(o runtime.Object) bool {
	switch o.(type) {
	case *corev1.Service, *discoveryv1.EndpointSlice:
		return true
	}
	return kube.WorkloadOf(o) != nil
}

// inputWorld is a world in which there is the input and nothing else.
type inputWorld []object

// find returns the object of a type and a name, or nil.
func find[T interface {
	*U
	metav1.Object
	runtime.Object
}, U any](in inputWorld, key types.NamespacedName) (T, error) {
	var found T
	var first object
	for _, o := range in {
		candidate, ok := o.Object.(T)
		if !ok || candidate.GetNamespace() != key.Namespace || candidate.GetName() != key.Name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s: %s, which an AppTier refers to, is also in %s: leave one of them out of the input", o.origin.atField("metadata.name"), o.name, first.origin)
		}
		found, first = candidate, o
	}
	return found, nil
}

func (in inputWorld) AppTier(_ context.Context, key types.NamespacedName) (*v1alpha1.AppTier, error) {
	return find[*v1alpha1.AppTier](in, key)
}

func (in inputWorld) Service(_ context.Context, key types.NamespacedName) (*corev1.Service, error) {
	service, err := find[*corev1.Service](in, key)
	if service == nil || service.Spec.ClusterIP == "" || len(service.Spec.ClusterIPs) > 0 {
		return service, err
	}
	// The API server fills the one in from the other; manifests say either.
	service = service.DeepCopy()
	service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
	return service, err
}

func (in inputWorld) PodsBehind(_ context.Context, service *corev1.Service) ([]*corev1.Pod, error) {
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

func (in inputWorld) Nodes(context.Context) ([]*corev1.Node, error) {
	var nodes []*corev1.Node
	for _, o := range in {
		if node, ok := o.Object.(*corev1.Node); ok {
			nodes = append(nodes, node)
		}
	}
	return nodes, nil
}

func (in inputWorld) EndpointSlices(_ context.Context, service types.NamespacedName) ([]*discoveryv1.EndpointSlice, error) {
	var found []*discoveryv1.EndpointSlice
	for _, o := range in {
		slice, ok := o.Object.(*discoveryv1.EndpointSlice)
		if ok && slice.Namespace == service.Namespace && slice.Labels[discoveryv1.LabelServiceName] == service.Name {
			found = append(found, slice)
		}
	}
	return found, nil
}
