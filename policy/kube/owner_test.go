package kube_test

import (
	"testing"

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
