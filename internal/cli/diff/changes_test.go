package diff

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A pod is called by what people made, not by what the cluster made of that.
func TestWorkloadName(t *testing.T) {
	owned := func(kind, name string) []metav1.OwnerReference {
		isController := true
		return []metav1.OwnerReference{{Kind: kind, Name: name, Controller: &isController}}
	}
	hash := map[string]string{"pod-template-hash": "5d78"}
	for _, c := range []struct {
		what, want string
		pod        metav1.ObjectMeta
	}{
		{"a Deployment's", "shop/deployment/web", metav1.ObjectMeta{Name: "web-5d78-x7k2p", Labels: hash, OwnerReferences: owned("ReplicaSet", "web-5d78")}},
		{"a ReplicaSet's", "shop/replicaset/web-5d78", metav1.ObjectMeta{Name: "web-5d78-x7k2p", OwnerReferences: owned("ReplicaSet", "web-5d78")}},
		{"one whose hash is another's", "shop/replicaset/web-abc", metav1.ObjectMeta{Name: "web-abc-x", Labels: hash, OwnerReferences: owned("ReplicaSet", "web-abc")}},
		{"a StatefulSet's", "shop/statefulset/db", metav1.ObjectMeta{Name: "db-0", OwnerReferences: owned("StatefulSet", "db")}},
		{"one that stands in for a workload's", "shop/deployment/web", metav1.ObjectMeta{Name: "deployment/web[0]"}},
		{"nobody's", "shop/debug", metav1.ObjectMeta{Name: "debug"}},
	} {
		c.pod.Namespace = "shop"
		if got := WorkloadName(&corev1.Pod{ObjectMeta: c.pod}); got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, got, c.want)
		}
	}
}
