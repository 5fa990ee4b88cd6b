package kube_test

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/kube"
)

// Which pods are a workload's is said by owners, and by labels as far as there are any: nobody's labels are nobody's.
func TestMakes(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "web"}
	template := func(labels map[string]string) corev1.PodTemplateSpec {
		return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}}
	}
	web := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: web}, Template: template(web)}}
	set := &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](3), Selector: &metav1.LabelSelector{MatchLabels: web}, Template: template(web)}}
	cron := &batchv1.CronJob{ObjectMeta: meta}
	job := &batchv1.Job{ObjectMeta: meta}
	indexed := &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{CompletionMode: ptr.To(batchv1.IndexedCompletion), Completions: ptr.To[int32](3)}}
	labelled := &batchv1.CronJob{ObjectMeta: meta}
	labelled.Spec.JobTemplate.Spec.Template = template(web)
	for _, test := range []struct {
		name     string
		workload runtime.Object
		labels   map[string]string
		owner    *metav1.OwnerReference
		makes    bool
	}{
		{"by its selector", deployment, web, nil, true},
		{"other labels", deployment, map[string]string{"app": "db"}, nil, false},
		{"by its ReplicaSet", deployment, web, owner("ReplicaSet", "web-5d8f"), true},
		{"another's ReplicaSet", deployment, web, owner("ReplicaSet", "api-5d8f"), false},
		{"a StatefulSet's beside a Deployment of the same labels", deployment, web, owner("StatefulSet", "db"), false},
		{"by itself", set, web, owner("StatefulSet", "web"), true},
		{"a StatefulSet of a longer name", set, web, owner("StatefulSet", "web-2"), false},
		{"a ReplicaSet's beside a StatefulSet", set, web, owner("ReplicaSet", "web-5d8f"), false},
		{"without labels, a pod of no owner", cron, nil, nil, false},
		{"without labels, a pod of other labels", cron, web, nil, false},
		{"without labels, by its Job", cron, nil, owner("Job", "web-28912345"), true},
		{"without labels, the Job of a CronJob of a longer name", cron, nil, owner("Job", "web-db-28912345"), false},
		{"without labels, a ReplicaSet called after it", cron, nil, owner("ReplicaSet", "web-28912345"), false},
		{"the ReplicaSet of a Deployment of a longer name", deployment, web, owner("ReplicaSet", "web-db-5d8f"), false},
		{"without labels, another's Job", cron, nil, owner("Job", "api-28912345"), false},
		{"by the template's labels", labelled, web, nil, true},
		{"by the Job's name", job, map[string]string{"job-name": "web", "batch.kubernetes.io/job-name": "web"}, nil, true},
		{"no Job's name", job, web, nil, false},
		{"any index", indexed, map[string]string{
			"job-name": "web", "batch.kubernetes.io/job-name": "web", "batch.kubernetes.io/job-completion-index": "2"}, nil, true},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pod", Labels: test.labels}}
		if test.owner != nil {
			pod.OwnerReferences = []metav1.OwnerReference{*test.owner}
		}
		if got := kube.WorkloadOf(test.workload).Makes(pod); got != test.makes {
			t.Errorf("%s: %v, want %v", test.name, got, test.makes)
		}
		pod.Namespace = "other"
		if kube.WorkloadOf(test.workload).Makes(pod) {
			t.Errorf("%s: so is a pod of another namespace", test.name)
		}
	}
}

func owner(kind, name string) *metav1.OwnerReference {
	return &metav1.OwnerReference{Kind: kind, Name: name, Controller: ptr.To(true)}
}

// The workload of a pod is known by the names that controllers give. A name that ends with digits says nothing by itself:
// a Job is a CronJob's only if the digits are the minute for which the pod was made.
func TestOwnerOf(t *testing.T) {
	made := time.Date(2026, 11, 30, 2, 0, 7, 0, time.UTC)
	run := func(name string, at time.Time) *metav1.OwnerReference {
		return owner("Job", fmt.Sprintf("%s-%d", name, at.Unix()/60))
	}
	for _, test := range []struct {
		name  string
		owner *metav1.OwnerReference
		made  time.Time
		want  string
	}{
		{"nobody", nil, made, "/"},
		{"a StatefulSet", owner("StatefulSet", "pg"), made, "StatefulSet/pg"},
		{"a Deployment, by its ReplicaSet", owner("ReplicaSet", "web-5d8f"), made, "Deployment/web"},
		{"another ReplicaSet", owner("ReplicaSet", "web-7a7a"), made, "ReplicaSet/web-7a7a"},
		{"a run of a CronJob", run("report", made), made, "CronJob/report"},
		{"the next run", run("report", made.Add(24*time.Hour)), made.Add(24 * time.Hour), "CronJob/report"},
		{"a run of a CronJob whose name has a dash", run("report-eu", made), made, "CronJob/report-eu"},
		{"a run that began late", run("report", made.Add(-9*time.Hour)), made, "CronJob/report"},
		{"a run by a clock that is ahead", run("report", made.Add(2*time.Minute)), made, "CronJob/report"},
		{"a Job that ends with a day", owner("Job", "migrate-20261130"), made, "Job/migrate-20261130"},
		{"a Job that ends with a time of long ago", run("report", made.Add(-30*24*time.Hour)), made, "Job/report-29890200"},
		{"a Job that ends with a time to come", run("report", made.Add(time.Hour)), made, "Job/report-29933460"},
		{"a pod of which nobody says when it was made", owner("Job", "report-29933400"), time.Time{}, "Job/report-29933400"},
		{"a Job with a short number", owner("Job", "report-28123"), made, "Job/report-28123"},
		{"a Job without a name before the minute", owner("Job", "-29933400"), made, "Job/-29933400"},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			CreationTimestamp: metav1.NewTime(test.made), Labels: map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: "5d8f"},
		}}
		if test.owner != nil {
			pod.OwnerReferences = []metav1.OwnerReference{*test.owner}
		}
		if kind, name := kube.OwnerOf(pod); kind+"/"+name != test.want {
			t.Errorf("%s: is of %s/%s, want %s", test.name, kind, name, test.want)
		}
	}
}
