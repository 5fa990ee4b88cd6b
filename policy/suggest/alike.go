package suggest

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/reach"
)

// Alike returns the pods of a denied flow that no selector tells from others of their namespace, and that
// would have to be selected to allow it: For proposes nothing then, since it would open all of them.
func Alike(world World, flow reach.Flow) []types.NamespacedName {
	result := reach.Allowed(world.Snapshot, flow)
	if result.Verdict != reach.Deny {
		return nil
	}
	return newQuestion(world, flow, result).alike()
}

func (q *question) alike() []types.NamespacedName {
	var out []types.NamespacedName
	add := func(pod *corev1.Pod) {
		name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, h := range q.halves() {
		if h.other.pod != nil && len(h.other.tiers) == 0 && len(StableLabels(h.other.pod)) == 0 {
			add(h.other.pod)
		}
		if _, isTier := h.home(); isTier || len(q.isolating(h)) == 0 {
			continue
		}
		if selector := q.subjectSelector(h); len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
			add(h.subject.pod)
		}
	}
	return out
}

// isAPIServer says whether an address is one at which the API server is reached.
func (q *question) isAPIServer(address netip.Addr) bool {
	holds := func(l expand.Listener) bool { return slices.Contains(l.Addresses, address) }
	server := q.Environment.APIServer
	return len(server.Endpoints) > 0 && (slices.ContainsFunc(server.Endpoints, holds) || holds(server.Service))
}
