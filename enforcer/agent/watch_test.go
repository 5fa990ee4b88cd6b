package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// What trim drops must not matter: the rules of trimmed objects are the same.
func TestTrimmingChangesNoRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot().Draw(t, "snapshot")
		trimmed := reach.Snapshot{
			Pods: trimAll(s.Pods), Namespaces: trimAll(s.Namespaces),
			Nodes: trimAll(s.Nodes), Policies: trimAll(s.Policies),
		}
		want, got := compile.Compile(s, "node-0").Table(1), compile.Compile(trimmed, "node-0").Table(1)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func trimAll[T any](objects []T) []T {
	out := make([]T, 0, len(objects))
	for _, o := range objects {
		trimmed, _ := trim(o)
		out = append(out, trimmed.(T))
	}
	return out
}

func TestWhichUpdatesMatter(t *testing.T) {
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "p", ResourceVersion: "1", Labels: map[string]string{"app": "web"}},
			Status:     corev1.PodStatus{PodIP: "10.0.0.1"},
		}
		change(p)
		return trimPod(p)
	}
	for _, test := range []struct {
		name   string
		change func(*corev1.Pod)
		want   bool
	}{
		{"a version", func(p *corev1.Pod) { p.ResourceVersion = "2" }, false},
		{"a condition", func(p *corev1.Pod) { p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady}} }, false},
		{"an annotation", func(p *corev1.Pod) { p.Annotations = map[string]string{"a": "b"} }, false},
		{"a label", func(p *corev1.Pod) { p.Labels["app"] = "api" }, true},
		{"an address", func(p *corev1.Pod) { p.Status.PodIP = "10.0.0.2" }, true},
		{"the phase", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := differ(pod(func(*corev1.Pod) {}), pod(test.change)); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
