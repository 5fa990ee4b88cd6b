package controllers

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// anyNode stands for every node, for AppTiers that wait for a first report.
const anyNode = ""

// perNode finds AppTiers by nodes: those that wait for one to report, or those with pods on it. With it a report is news to
// these alone: each node reports about all policies at once.
type perNode struct {
	mutex sync.Mutex
	on    map[string]map[types.NamespacedName]bool
	nodes map[types.NamespacedName][]string
}

// set replaces the nodes of an AppTier.
func (w *perNode) set(app types.NamespacedName, nodes []string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.on == nil {
		w.on, w.nodes = map[string]map[types.NamespacedName]bool{}, map[types.NamespacedName][]string{}
	}
	for _, node := range w.nodes[app] {
		if delete(w.on[node], app); len(w.on[node]) == 0 {
			delete(w.on, node)
		}
	}
	delete(w.nodes, app)
	for _, node := range nodes {
		if w.on[node] == nil {
			w.on[node] = map[types.NamespacedName]bool{}
		}
		w.on[node][app] = true
	}
	if len(nodes) > 0 {
		w.nodes[app] = nodes
	}
}

// of are the AppTiers of a node.
func (w *perNode) of(node string) []types.NamespacedName {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Collect(maps.Keys(w.on[node]))
}
