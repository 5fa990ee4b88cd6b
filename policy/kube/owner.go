package kube

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// direct are the kinds that own their pods themselves. Others have ReplicaSets, Jobs or kinds of their own between.
var direct = []string{"StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"}

// Makes says whether a pod is one of the workload's. Its owner says so, as far as it has one, and its labels, as far as
// the workload selects or gives any: a pod of a manifest has no owner, and without labels it may be anybody's.
func (w *Workload) Makes(pod *corev1.Pod) bool {
	if len(w.Pods) == 0 || w.Pods[0].Namespace != pod.Namespace {
		return false
	}
	owner := metav1.GetControllerOf(pod)
	if owner != nil && !w.mayOwn(owner) {
		return false
	}
	if w.Selector != nil {
		selector, err := metav1.LabelSelectorAsSelector(w.Selector)
		return err == nil && selector.Matches(labels.Set(pod.Labels))
	}
	if owner != nil && len(w.commonLabels()) == 0 {
		return true
	}
	bears := func(set labels.Set) bool {
		return len(set) > 0 && labels.SelectorFromSet(set).Matches(labels.Set(pod.Labels))
	}
	return bears(w.commonLabels()) || slices.ContainsFunc(w.Pods, func(made *corev1.Pod) bool { return bears(made.Labels) })
}

// between are the kinds that have another between them and their pods, and which. What they make is called by their
// name, a dash, and a hash or a time without one: backup-28912345 is of the CronJob backup, and backup-db-28912345
// is not.
var between = map[string]string{"Deployment": "ReplicaSet", "CronJob": "Job"}

// mayOwn says whether an owner is the workload, or may be between it and its pods.
func (w *Workload) mayOwn(owner *metav1.OwnerReference) bool {
	if owner.Kind == w.Kind {
		return owner.Name == w.Name
	}
	rest, isAfter := strings.CutPrefix(owner.Name, w.Name+"-")
	if kind, known := between[w.Kind]; known {
		return isAfter && owner.Kind == kind && !strings.Contains(rest, "-")
	}
	return isAfter && !slices.Contains(direct, w.Kind)
}

// commonLabels are the labels that all its pods have.
func (w *Workload) commonLabels() labels.Set {
	common := labels.Set{}
	for key, value := range w.Pods[0].Labels {
		has := func(pod *corev1.Pod) bool { return pod.Labels[key] == value }
		if !slices.ContainsFunc(w.Pods, func(pod *corev1.Pod) bool { return !has(pod) }) {
			common[key] = value
		}
	}
	return common
}

// NameOf is the full name of an object.
func NameOf(object metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}
