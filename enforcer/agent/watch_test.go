package agent

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	apptierv1alpha1 "github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// What is kept of objects must be all that matters: the rules are the same, whether objects come one
// by one or all at once, and whatever was there before.
func TestAStoreKeepsWhatMatters(t *testing.T) {
	snapshots := rapid.Map(reachtest.Snapshot(), stageSome)
	rapid.Check(t, func(t *rapid.T) {
		before, s := snapshots.Draw(t, "before"), snapshots.Draw(t, "snapshot")
		f, c := newStore(agenttest.Node, func() {}, time.Now), compile.New(agenttest.Node)
		replace(f, before)
		if rapid.Bool().Draw(t, "apply in between") {
			f.apply(c)
		}
		if rapid.Bool().Draw(t, "all at once") {
			replace(f, s)
		} else {
			replace(f, reach.Snapshot{})
			addAll(f.pods, s.Pods)
			addAll(f.policies, s.Policies)
			addAll(f.staged, stagedObjects(s))
			addAll(f.nodes, s.Nodes)
			addAll(f.namespaces, s.Namespaces)
		}
		f.apply(c)
		if diff := cmp.Diff(compile.Compile(s, agenttest.Node).Table(1), c.Ruleset().Table(1)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func replace(f *store, s reach.Snapshot) {
	_ = f.pods.Replace(objects(s.Pods), "")
	_ = f.policies.Replace(objects(s.Policies), "")
	_ = f.staged.Replace(objects(stagedObjects(s)), "")
	_ = f.nodes.Replace(objects(s.Nodes), "")
	_ = f.namespaces.Replace(objects(s.Namespaces), "")
}

// stageSome has every other policy not enforced.
func stageSome(s reach.Snapshot) reach.Snapshot {
	all := s.Policies
	s.Policies = nil
	for i, p := range all {
		if i%2 == 0 {
			s.Policies = append(s.Policies, p)
		} else {
			s.Staged = append(s.Staged, p)
		}
	}
	return s
}

func stagedObjects(s reach.Snapshot) (out []*apptierv1alpha1.StagedNetworkPolicy) {
	for _, p := range s.Staged {
		out = append(out, &apptierv1alpha1.StagedNetworkPolicy{ObjectMeta: p.ObjectMeta, Spec: p.Spec})
	}
	return out
}

func objects[T any](of []T) []any {
	out := make([]any, 0, len(of))
	for _, o := range of {
		out = append(out, o)
	}
	return out
}

func addAll[T comparable, O any](to *kind[T], of []O) {
	for _, o := range of {
		_ = to.Add(o)
	}
}

func TestWhichUpdatesMatter(t *testing.T) {
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
		{"the API server removes it", func(p *corev1.Pod) {
			p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &metav1.Time{}, new(int64)
		}, true},
		{"the phase", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := false
			f := newStore("node", func() { changed = true }, time.Now)
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "p", ResourceVersion: "1", Labels: map[string]string{"app": "web"}},
				Status:     corev1.PodStatus{PodIP: "10.0.0.1"},
			}
			_ = f.pods.Add(pod)
			f.apply(compile.New("node"))
			changed = false
			after := pod.DeepCopy()
			test.change(after)
			_ = f.pods.Update(after)
			if changed != test.want {
				t.Errorf("got %v, want %v", changed, test.want)
			}
		})
	}
}

func TestAHeartbeatOfANodeDoesNotMatter(t *testing.T) {
	changes := 0
	f := newStore("node", func() { changes++ }, time.Now)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", ResourceVersion: "1"}}
	_ = f.nodes.Add(node)
	later := node.DeepCopy()
	later.ResourceVersion, later.Status.Conditions = "2", []corev1.NodeCondition{{Type: corev1.NodeReady}}
	_ = f.nodes.Update(later)
	if changes != 1 {
		t.Errorf("%d changes, want 1", changes)
	}
}
