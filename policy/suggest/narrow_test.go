package suggest_test

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/suggest"
)

// wantNarrow tries what is like some additions and narrower: other tiers in place of those that are named, and
// selectors with one more label of a pod. None may allow the flow and open less.
func (s scene) wantNarrow(t *rapid.T, additions []suggest.Addition, flow reach.Flow) {
	world := s.world()
	opens := suggest.Opens(world, world.With(additions), flow)
	for _, other := range s.narrower(additions) {
		after := world.With(other)
		if reach.Allowed(after.Snapshot, flow).Verdict != reach.Allow {
			continue
		}
		less := suggest.Opens(world, after, flow)
		isSubset := !slices.ContainsFunc(less, func(f reach.Flow) bool { return !slices.Contains(opens, f) })
		if isSubset && len(less) < len(opens) {
			t.Fatalf("%s\nopens %v for %+v, and this only %v:\n%s", mustJSON(t, additions), opens, flow, less, mustJSON(t, other))
		}
	}
}

func (s scene) narrower(additions []suggest.Addition) [][]suggest.Addition {
	var out [][]suggest.Addition
	for i, a := range additions {
		with := func(changed suggest.Addition) {
			other := slices.Clone(additions)
			other[i] = changed
			out = append(out, other)
		}
		switch item := a.Item.(type) {
		case v1alpha1.IngressRule:
			for _, peer := range s.narrowerPeers(a, item.From[0]) {
				changed := a
				changed.Item = v1alpha1.IngressRule{From: []v1alpha1.Peer{peer}, Ports: item.Ports}
				with(changed)
			}
		case v1alpha1.EgressRule:
			for _, peer := range s.narrowerPeers(a, item.To[0]) {
				changed := a
				changed.Item = v1alpha1.EgressRule{To: []v1alpha1.Peer{peer}, Ports: item.Ports}
				with(changed)
			}
		case nil:
			for _, labels := range s.labels() {
				changed := a
				changed.Policy = a.Policy.DeepCopy()
				changed.Policy.Spec.PodSelector = narrowed(a.Policy.Spec.PodSelector, labels)
				with(changed)
			}
		}
	}
	return out
}

// narrowerPeers are other tiers of the AppTier, and the same pods with one more label.
func (s scene) narrowerPeers(a suggest.Addition, peer v1alpha1.Peer) []v1alpha1.Peer {
	var out []v1alpha1.Peer
	switch {
	case peer.Tier != nil:
		for _, app := range s.apps {
			for i := range app.Spec.Tiers {
				if app.Namespace == a.AppTier.Namespace && app.Name == a.AppTier.Name && app.Spec.Tiers[i].Name != *peer.Tier {
					out = append(out, v1alpha1.Peer{Tier: &app.Spec.Tiers[i].Name})
				}
			}
		}
	case peer.Pods != nil:
		for _, labels := range s.labels() {
			pods := *peer.Pods
			pods.PodSelector = narrowed(pods.PodSelector, labels)
			out = append(out, v1alpha1.Peer{Pods: &pods})
		}
	}
	return out
}

// labels are those of the pods, one by one.
func (s scene) labels() []map[string]string {
	seen := map[string]string{}
	var out []map[string]string
	for _, pod := range s.snapshot.Pods {
		for key, value := range pod.Labels {
			seen[key+"="+value] = key
		}
	}
	for _, pair := range slices.Sorted(maps.Keys(seen)) {
		key := seen[pair]
		out = append(out, map[string]string{key: pair[len(key)+1:]})
	}
	return out
}

func narrowed(selector metav1.LabelSelector, more map[string]string) metav1.LabelSelector {
	out := *selector.DeepCopy()
	if out.MatchLabels == nil {
		out.MatchLabels = map[string]string{}
	}
	maps.Copy(out.MatchLabels, more)
	return out
}
