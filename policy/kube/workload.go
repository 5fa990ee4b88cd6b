package kube

import (
	"fmt"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// Labels that controllers add, and that have no constant in the API's packages
// (https://kubernetes.io/docs/reference/labels-annotations-taints/).
const (
	legacyJobName       = "job-name"
	legacyControllerUID = "controller-uid"
	templateGeneration  = "pod-template-generation"
)

// mostDistinct limits how many different pods of a workload are considered.
const mostDistinct = 100

// Workload is an object that makes pods.
type Workload struct {
	// Kind and Name as in a manifest.
	Kind, Name string
	// Pods are those that it makes, as far as they differ in their labels: those of a StatefulSet by
	// their number, for example, up to 100. Of pods that are all alike it is one, which bears the
	// workload's name. Labels are those of the template, and those that the controller adds with
	// values that are known.
	Pods []*corev1.Pod
	// Unknown are keys of labels that the controller adds to each pod with values that only it knows.
	Unknown []string
	// Several says whether two of its pods can run at the same time, if only for a rollout.
	Several bool
	// Replicas is how many there are to be; 0 if that is not said.
	Replicas int32
	// Selector is how it finds its pods; nil if it says nothing of it.
	Selector *metav1.LabelSelector
}

// WorkloadOf reads an object; it is nil for one that makes no pods.
func WorkloadOf(object runtime.Object) *Workload {
	switch o := object.(type) {
	case *appsv1.Deployment:
		w := alike("Deployment", o.ObjectMeta, &o.Spec.Template, o.Spec.Selector, o.Spec.Replicas)
		w.Unknown = []string{appsv1.DefaultDeploymentUniqueLabelKey}
		w.Several = o.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || w.Replicas > 1
		return w
	case *appsv1.StatefulSet:
		return ofStatefulSet(o)
	case *appsv1.DaemonSet:
		w := alike("DaemonSet", o.ObjectMeta, &o.Spec.Template, o.Spec.Selector, nil)
		w.Unknown, w.Several = []string{appsv1.ControllerRevisionHashLabelKey, templateGeneration}, true
		return w
	case *appsv1.ReplicaSet:
		return alike("ReplicaSet", o.ObjectMeta, &o.Spec.Template, o.Spec.Selector, o.Spec.Replicas)
	case *corev1.ReplicationController:
		w := alike("ReplicationController", o.ObjectMeta, o.Spec.Template, nil, o.Spec.Replicas)
		return w
	case *batchv1.Job:
		return ofJob("Job", o.ObjectMeta, &o.Spec, jobLabels(o.Name))
	case *batchv1.CronJob:
		// Its Jobs are called after the time (k8s.io/kubernetes pkg/controller/cronjob, getJobName).
		w := ofJob("CronJob", o.ObjectMeta, &o.Spec.JobTemplate.Spec, nil)
		if w != nil {
			w.Unknown = append(w.Unknown, batchv1.JobNameLabel, legacyJobName)
			w.Several = w.Several || o.Spec.ConcurrencyPolicy == "" || o.Spec.ConcurrencyPolicy == batchv1.AllowConcurrent
		}
		return w
	case *unstructured.Unstructured:
		return ofShape(o)
	default:
		return nil
	}
}

// alike are the pods of a workload that differ in nothing. It may be scaled; without a number of
// replicas somebody else is likely to do that.
func alike(kind string, meta metav1.ObjectMeta, template *corev1.PodTemplateSpec, selector *metav1.LabelSelector,
	replicas *int32) *Workload {
	w := &Workload{Kind: kind, Name: meta.Name, Selector: selector, Replicas: ptr.Deref(replicas, 0), Several: ptr.Deref(replicas, 2) > 1}
	if template != nil {
		w.Pods = []*corev1.Pod{podOf(meta, template, meta.Name, nil)}
	}
	return w
}

// ofStatefulSet: each pod bears its name and its number.
func ofStatefulSet(o *appsv1.StatefulSet) *Workload {
	replicas := ptr.Deref(o.Spec.Replicas, 1)
	w := &Workload{
		Kind: "StatefulSet", Name: o.Name, Selector: o.Spec.Selector, Replicas: ptr.Deref(o.Spec.Replicas, 0), Several: replicas > 1,
		Unknown: []string{appsv1.ControllerRevisionHashLabelKey},
	}
	first := int32(0)
	if o.Spec.Ordinals != nil {
		first = o.Spec.Ordinals.Start
	}
	for i := range min(max(replicas, 1), mostDistinct) {
		name := fmt.Sprintf("%s-%d", o.Name, first+i)
		w.Pods = append(w.Pods, podOf(o.ObjectMeta, &o.Spec.Template, name, map[string]string{
			appsv1.StatefulSetPodNameLabel: name, appsv1.PodIndexLabel: strconv.Itoa(int(first + i)),
		}))
	}
	return w
}

func jobLabels(name string) map[string]string {
	return map[string]string{batchv1.JobNameLabel: name, legacyJobName: name}
}

// ofJob: the pods of an indexed Job bear their number.
func ofJob(kind string, meta metav1.ObjectMeta, spec *batchv1.JobSpec, added map[string]string) *Workload {
	w := &Workload{
		Kind: kind, Name: meta.Name, Several: ptr.Deref(spec.Parallelism, 1) > 1, Replicas: ptr.Deref(spec.Parallelism, 0),
		Unknown: []string{batchv1.ControllerUidLabel, legacyControllerUID},
	}
	if spec.Selector != nil && len(spec.Selector.MatchLabels) > 0 {
		w.Selector = spec.Selector
	}
	if ptr.Deref(spec.CompletionMode, batchv1.NonIndexedCompletion) != batchv1.IndexedCompletion {
		w.Pods = []*corev1.Pod{podOf(meta, &spec.Template, meta.Name, added)}
		return w
	}
	for i := range min(max(ptr.Deref(spec.Completions, 1), 1), mostDistinct) {
		index := maps.Clone(added)
		if index == nil {
			index = map[string]string{}
		}
		index[batchv1.JobCompletionIndexAnnotation] = strconv.Itoa(int(i)) // a label of the same key
		w.Pods = append(w.Pods, podOf(meta, &spec.Template, fmt.Sprintf("%s-%d", meta.Name, i), index))
	}
	return w
}

// podOf is a pod as a template describes it. What the controller adds goes before the template's.
func podOf(workload metav1.ObjectMeta, template *corev1.PodTemplateSpec, name string, added map[string]string) *corev1.Pod {
	labels := maps.Clone(template.Labels)
	if len(added) > 0 && labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, added)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: workload.Namespace, Name: name, Labels: labels, Annotations: template.Annotations},
		Spec:       template.Spec,
	}
}
