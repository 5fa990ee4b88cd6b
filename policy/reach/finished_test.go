package reach_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/reach"
)

func TestFinished(t *testing.T) {
	deleted := func(grace int64, finalizers ...string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}, DeletionGracePeriodSeconds: &grace, Finalizers: finalizers}}
	}
	phase := func(p corev1.PodPhase) corev1.Pod { return corev1.Pod{Status: corev1.PodStatus{Phase: p}} }
	for _, test := range []struct {
		name string
		pod  corev1.Pod
		want bool
	}{
		{"it waits for a node", phase(corev1.PodPending), false},
		{"it runs", phase(corev1.PodRunning), false},
		{"it has succeeded", phase(corev1.PodSucceeded), true},
		{"it has failed", phase(corev1.PodFailed), true},
		{"its containers are asked to end", deleted(30), false},
		{"its containers have ended, and the API server removes it", deleted(0), true},
		{"somebody holds it, perhaps while it still runs", deleted(0, "example.com/hold"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := reach.Finished(&test.pod); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
