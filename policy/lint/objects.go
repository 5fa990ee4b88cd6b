package lint

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/api/v1alpha1"
)

// WorldOf returns what objects say about a world: a part of it is known if there is an object of
// the part. Workloads stand for one pod each, as their templates describe it. NetworkPolicies are
// known in any case, and those that bear the labels of an AppTier's are taken for what it stands for.
// Other kinds are ignored.
func WorldOf(objects []runtime.Object) World {
	w := World{Known: Parts{Policies: true}}
	for _, object := range objects {
		switch o := object.(type) {
		case *corev1.Namespace:
			w.Namespaces = append(w.Namespaces, o)
		case *v1alpha1.AppTier:
			w.AppTiers = append(w.AppTiers, o)
		case *corev1.Pod:
			w.Pods = append(w.Pods, o)
		case *corev1.Service:
			w.Services = append(w.Services, o)
		case *networkingv1.NetworkPolicy:
			if IsGenerated(o) {
				w.Generated = append(w.Generated, o)
			} else {
				w.Policies = append(w.Policies, o)
			}
		default:
			if pod := PodOf(object); pod != nil {
				w.Pods = append(w.Pods, pod)
			}
		}
	}
	w.Known.Namespaces, w.Known.AppTiers = len(w.Namespaces) > 0, len(w.AppTiers) > 0
	w.Known.Pods, w.Known.Services = len(w.Pods) > 0, len(w.Services) > 0
	return w
}

// IsGenerated says whether a policy bears the labels of one that an AppTier stands for.
func IsGenerated(policy *networkingv1.NetworkPolicy) bool {
	return policy.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && policy.Labels[v1alpha1.LabelAppTier] != ""
}

// PodOf returns the pod that a workload's template describes; nil for anything else, a pod too.
func PodOf(object runtime.Object) *corev1.Pod {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return podOfTemplate(o.ObjectMeta, &o.Spec.Template)
	case *appsv1.StatefulSet:
		return podOfTemplate(o.ObjectMeta, &o.Spec.Template)
	case *appsv1.DaemonSet:
		return podOfTemplate(o.ObjectMeta, &o.Spec.Template)
	case *appsv1.ReplicaSet:
		return podOfTemplate(o.ObjectMeta, &o.Spec.Template)
	case *corev1.ReplicationController:
		return podOfTemplate(o.ObjectMeta, o.Spec.Template)
	case *batchv1.Job:
		return podOfTemplate(o.ObjectMeta, &o.Spec.Template)
	case *batchv1.CronJob:
		return podOfTemplate(o.ObjectMeta, &o.Spec.JobTemplate.Spec.Template)
	default:
		return nil
	}
}

func podOfTemplate(workload metav1.ObjectMeta, template *corev1.PodTemplateSpec) *corev1.Pod {
	if template == nil {
		return nil
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: workload.Namespace, Name: workload.Name, Labels: template.Labels},
		Spec:       template.Spec,
	}
}
