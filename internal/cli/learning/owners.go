package learning

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/learn"
)

// runs are what is known of the runs of CronJobs: all of one are the same workload.
type runs struct {
	// cronJobs are those that there are, and jobs the CronJob that owns a Job.
	cronJobs map[types.NamespacedName]bool
	jobs     map[types.NamespacedName]string
}

func runsAmong(objects []manifest.Object) runs {
	r := runs{cronJobs: map[types.NamespacedName]bool{}, jobs: map[types.NamespacedName]string{}}
	for _, o := range objects {
		switch of := o.Object.(type) {
		case *batchv1.CronJob:
			r.cronJobs[kube.NameOf(of)] = true
		case *batchv1.Job:
			if owner := metav1.GetControllerOf(of); owner != nil && owner.Kind == "CronJob" {
				r.jobs[kube.NameOf(of)] = owner.Name
			}
		}
	}
	return r
}

// cronJobOf is the CronJob of which a Job is a run: its owner, or the one that there is and that would give it this name.
// Of a Job of nobody it is empty.
func (r runs) cronJobOf(namespace, job string) string {
	if owner := r.jobs[types.NamespacedName{Namespace: namespace, Name: job}]; owner != "" {
		return owner
	}
	if cronJob, _, isRun := kube.RunOf(job); isRun && r.cronJobs[types.NamespacedName{Namespace: namespace, Name: cronJob}] {
		return cronJob
	}
	return ""
}

// maker is a workload under the name that it is learned by.
type maker struct {
	*kube.Workload
	name     string
	selector *metav1.LabelSelector
}

// maker has a run of a CronJob go by the name of that. How a run finds its pods holds for it alone.
func (r runs) maker(of *kube.Workload) maker {
	m := maker{of, of.Name, of.Selector}
	if of.Kind != "Job" || len(of.Pods) == 0 {
		return m
	}
	if cronJob := r.cronJobOf(of.Pods[0].Namespace, of.Name); cronJob != "" {
		m.name, m.selector = cronJob, nil
	}
	return m
}

// ownerOf is the name of what makes a pod; empty if nothing does.
func (r runs) ownerOf(pod *corev1.Pod) string {
	kind, name := kube.OwnerOf(pod)
	if kind == "Job" {
		if cronJob := r.cronJobOf(pod.Namespace, name); cronJob != "" {
			return cronJob
		}
	}
	return name
}

// name has the runs of a CronJob be the CronJob at both ends of what was seen.
func (r runs) name(seen []learn.Observation) {
	for i := range seen {
		for _, end := range []*learn.End{&seen[i].Source, &seen[i].Destination} {
			if cronJob := r.cronJobOf(end.Namespace, end.Workload); cronJob != "" {
				end.Workload = cronJob
			}
		}
	}
}
