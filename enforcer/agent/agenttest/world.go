// Package agenttest generates what happens to a node's agent over time: objects that come, change
// and go, for tests of what must not depend on the path.
package agenttest

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// Node is the node whose agent it is.
const Node = "node-0"

// World holds a cluster's objects by their names, as the API server does.
type World struct {
	pods       map[string]*corev1.Pod
	namespaces map[string]*corev1.Namespace
	nodes      map[string]*corev1.Node
	policies   map[string]*networkingv1.NetworkPolicy
	// staged are those that are not enforced; nil in worlds without any.
	staged   map[string]staged
	watchers []Watcher
}

// staged is a policy that is not enforced.
type staged struct{ *networkingv1.NetworkPolicy }

// StagedWatcher hears of staged policies too.
type StagedWatcher interface {
	Watcher
	SetStaged(object *networkingv1.NetworkPolicy)
	DeleteStaged(namespace, name string)
}

// NewStagedWorld returns an empty one with staged policies.
func NewStagedWorld(watchers ...StagedWatcher) *World {
	w := NewWorld()
	for _, watcher := range watchers {
		w.watchers = append(w.watchers, watcher)
	}
	w.staged = map[string]staged{}
	return w
}

// Watcher hears of every change, as a compile.Compiler does.
type Watcher interface {
	SetPod(object *corev1.Pod)
	DeletePod(namespace, name string)
	SetNamespace(object *corev1.Namespace)
	DeleteNamespace(name string)
	SetNode(object *corev1.Node)
	DeleteNode(name string)
	SetPolicy(object *networkingv1.NetworkPolicy)
	DeletePolicy(namespace, name string)
}

// NewWorld returns an empty one, whose changes watchers hear of.
func NewWorld(watchers ...Watcher) *World {
	return &World{
		watchers: watchers,
		pods:     map[string]*corev1.Pod{}, namespaces: map[string]*corev1.Namespace{},
		nodes: map[string]*corev1.Node{}, policies: map[string]*networkingv1.NetworkPolicy{},
	}
}

// Change adds, replaces or deletes one object of a kind.
func (w *World) Change(t *rapid.T) {
	from := reachtest.Snapshot(reachtest.MaxNodes(2), reachtest.Disputed()).Draw(t, "objects to take one of")
	var came, gone any
	switch rapid.IntRange(0, 6).Draw(t, "kind of object") {
	case 0:
		came, gone = change(t, w.namespaces, from.Namespaces)
	case 1:
		came, gone = change(t, w.nodes, from.Nodes)
	case 2, 3, 4:
		for _, p := range from.Pods {
			p.UID = rapid.SampledFrom([]types.UID{"a", "b", "c"}).Draw(t, "uid")
		}
		came, gone = change(t, w.pods, from.Pods)
	default:
		if w.staged == nil || rapid.Bool().Draw(t, "enforced") {
			came, gone = change(t, w.policies, from.Policies)
			break
		}
		var candidates []staged
		for _, policy := range from.Policies {
			candidates = append(candidates, staged{policy})
		}
		came, gone = change(t, w.staged, candidates)
	}
	for _, to := range w.watchers {
		tell(to, came, gone)
	}
}

// change returns the object that came, or the one that is gone.
func change[T metav1.Object](t *rapid.T, have map[string]T, candidates []T) (came, gone any) {
	names := slices.Sorted(maps.Keys(have))
	if len(names) > 0 && rapid.IntRange(0, 2).Draw(t, "add, replace or delete") == 0 {
		name := rapid.SampledFrom(names).Draw(t, "which goes")
		one := have[name]
		delete(have, name)
		return nil, one
	}
	if len(candidates) > 0 {
		one := rapid.SampledFrom(candidates).Draw(t, "which comes")
		have[one.GetNamespace()+"/"+one.GetName()] = one
		return one, nil
	}
	return nil, nil
}

func tell(to Watcher, came, gone any) {
	switch o := came.(type) {
	case *corev1.Pod:
		to.SetPod(o)
	case *corev1.Namespace:
		to.SetNamespace(o)
	case *corev1.Node:
		to.SetNode(o)
	case *networkingv1.NetworkPolicy:
		to.SetPolicy(o)
	case staged:
		to.(StagedWatcher).SetStaged(o.NetworkPolicy)
	}
	switch o := gone.(type) {
	case *corev1.Pod:
		to.DeletePod(o.Namespace, o.Name)
	case *corev1.Namespace:
		to.DeleteNamespace(o.Name)
	case *corev1.Node:
		to.DeleteNode(o.Name)
	case *networkingv1.NetworkPolicy:
		to.DeletePolicy(o.Namespace, o.Name)
	case staged:
		to.(StagedWatcher).DeleteStaged(o.Namespace, o.Name)
	}
}

// Snapshot returns the objects of now, in the order that maps happen to give.
func (w *World) Snapshot() reach.Snapshot {
	s := reach.Snapshot{
		Pods: slices.Collect(maps.Values(w.pods)), Namespaces: slices.Collect(maps.Values(w.namespaces)),
		Nodes: slices.Collect(maps.Values(w.nodes)), Policies: slices.Collect(maps.Values(w.policies)),
	}
	for _, policy := range w.staged {
		s.Staged = append(s.Staged, policy.NetworkPolicy)
	}
	return s
}
