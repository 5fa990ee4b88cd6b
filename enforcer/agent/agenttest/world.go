// Package agenttest generates what happens to a node's agent over time: objects that come, change
// and go, for tests of what must not depend on the path.
package agenttest

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
}

// NewWorld returns an empty one.
func NewWorld() *World {
	return &World{
		pods: map[string]*corev1.Pod{}, namespaces: map[string]*corev1.Namespace{},
		nodes: map[string]*corev1.Node{}, policies: map[string]*networkingv1.NetworkPolicy{},
	}
}

// Change adds, replaces or deletes one object of a kind.
func (w *World) Change(t *rapid.T) {
	from := reachtest.Snapshot(reachtest.MaxNodes(2)).Draw(t, "objects to take one of")
	switch rapid.IntRange(0, 6).Draw(t, "kind of object") {
	case 0:
		change(t, w.namespaces, from.Namespaces)
	case 1:
		change(t, w.nodes, from.Nodes)
	case 2, 3, 4:
		change(t, w.pods, from.Pods)
	default:
		change(t, w.policies, from.Policies)
	}
}

func change[T metav1.Object](t *rapid.T, have map[string]T, candidates []T) {
	names := slices.Sorted(maps.Keys(have))
	if len(names) > 0 && rapid.IntRange(0, 2).Draw(t, "add, replace or delete") == 0 {
		delete(have, rapid.SampledFrom(names).Draw(t, "which goes"))
		return
	}
	if len(candidates) > 0 {
		one := rapid.SampledFrom(candidates).Draw(t, "which comes")
		have[one.GetNamespace()+"/"+one.GetName()] = one
	}
}

// Snapshot returns the objects of now, in the order that maps happen to give.
func (w *World) Snapshot() reach.Snapshot {
	return reach.Snapshot{
		Pods: slices.Collect(maps.Values(w.pods)), Namespaces: slices.Collect(maps.Values(w.namespaces)),
		Nodes: slices.Collect(maps.Values(w.nodes)), Policies: slices.Collect(maps.Values(w.policies)),
	}
}
