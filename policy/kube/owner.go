package kube

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
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

// OwnerOf returns the kind and the name of the workload that a pod is of; both are empty if nothing controls the pod. A
// Deployment and a CronJob have an object between them and their pods, which is known by the name that their controllers
// give: to look it up would need the right to read all ReplicaSets and Jobs.
//   - A ReplicaSet is a Deployment's if its name ends with its pods' label pod-template-hash
//     (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template-hash-label).
//   - A Job is a run of a CronJob if its name ends with a minute, and the pod was made then or some days later.
func OwnerOf(pod *corev1.Pod) (kind, name string) {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return "", ""
	}
	switch hash := pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; {
	case owner.Kind == "ReplicaSet" && hash != "":
		if deployment, is := strings.CutSuffix(owner.Name, "-"+hash); is && deployment != "" {
			return "Deployment", deployment
		}
	case owner.Kind == "Job":
		if cronJob, scheduled, is := RunOf(owner.Name); is && isMadeFor(scheduled, pod.CreationTimestamp.Time) {
			return "CronJob", cronJob
		}
	}
	return owner.Kind, owner.Name
}

// runName is the name that the CronJob controller gives a Job: the CronJob's, and the minute that the run was scheduled
// for, counted since 1970 (k8s.io/kubernetes pkg/controller/cronjob, getJobName). It has eight digits until 2160.
var runName = regexp.MustCompile(`^(.+)-(\d{8})$`)

// RunOf reads the name of a Job as that of a run: of which CronJob, and for when. Jobs of people may have such names too.
func RunOf(job string) (cronJob string, scheduled time.Time, is bool) {
	found := runName.FindStringSubmatch(job)
	if found == nil {
		return "", time.Time{}, false
	}
	minutes, err := strconv.ParseInt(found[2], 10, 64)
	return found[1], time.Unix(60*minutes, 0), err == nil
}

// A run begins late if the controller did not run, if the Job is suspended, or if a pod of it failed. A clock may be behind
// that of the controller.
const (
	mostLate  = 7 * 24 * time.Hour
	mostEarly = 5 * time.Minute
)

func isMadeFor(scheduled, made time.Time) bool {
	late := made.Sub(scheduled)
	return -mostEarly <= late && late <= mostLate
}

// NameOf is the full name of an object.
func NameOf(object metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}
