package widening

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// Words say which end would reach which, and what the AppTiers allow.
func (w *Widening) Words(v *world.View) string { return w.deed(v) + "; " + w.instead(v) }

// deed says which end would reach which.
func (w *Widening) deed(v *world.View) string {
	subject, other := w.subjectWords(v.Policy.Namespace), w.otherWords(v)
	if w.Direction == ingress {
		return fmt.Sprintf("%s reach %s on %s", other, subject, words.Port(w.Port))
	}
	return fmt.Sprintf("%s reach %s on %s", subject, other, words.Port(w.Port))
}

func (w *Widening) subjectWords(namespace string) string {
	if w.SubjectPod != nil {
		return words.Pod(w.SubjectPod)
	}
	for _, g := range w.By {
		if tier := g.Labels[v1alpha1.LabelTier]; tier != "" {
			return fmt.Sprintf("a pod of tier %s of namespace %s", tier, namespace)
		}
	}
	return "a pod of namespace " + namespace
}

// otherWords names the other end as the policy does, with an example.
func (w *Widening) otherWords(v *world.View) string {
	other := words.Peer(v.Policy.Namespace, world.PeerOf(w.Direction, w.Clause))
	switch {
	case w.PeerPod != nil:
		return fmt.Sprintf("%s (for example %s)", other, words.Pod(w.PeerPod))
	case !w.IsPod:
		return fmt.Sprintf("%s (for example %s)", other, w.Address)
	case len(w.Peer) > 0:
		return fmt.Sprintf("%s (for example one labelled %s)", other, words.Labels(w.Peer))
	default:
		return other
	}
}

// instead says what the AppTiers allow on this port.
func (w *Widening) instead(v *world.View) string {
	var allowed []string
	for _, g := range v.Here.Generated {
		if !slices.Contains(w.By, g.NetworkPolicy) {
			continue
		}
		for _, clause := range g.Clauses(w.Direction) {
			if v.Work.Spend(1) && clause.Box.Ports.Contains(w.Port) {
				allowed = append(allowed, tierWords(v, world.PeerOf(w.Direction, clause)))
			}
		}
	}
	switch {
	case len(allowed) == 0 && w.Direction == ingress:
		return fmt.Sprintf("AppTier %s allows nothing to connect to it on this port", w.AppTiers())
	case len(allowed) == 0:
		return fmt.Sprintf("AppTier %s allows it to connect to nothing on this port", w.AppTiers())
	default:
		return fmt.Sprintf("AppTier %s allows only %s", w.AppTiers(), words.List(allowed))
	}
}

// tierWords names a peer of a generated policy as the AppTier does, if it is a tier.
func tierWords(v *world.View, peer *networkingv1.NetworkPolicyPeer) string {
	if peer != nil && peer.PodSelector != nil && peer.NamespaceSelector == nil {
		for _, g := range v.Here.Generated {
			v.Work.Spend(1)
			tier := g.Labels[v1alpha1.LabelTier]
			if tier != "" && words.Selector(&g.Spec.PodSelector) == words.Selector(peer.PodSelector) {
				return "tier " + tier
			}
		}
	}
	return words.Peer(v.Policy.Namespace, peer)
}

// AppTiers names the AppTiers that isolate the pod.
func (w *Widening) AppTiers() string {
	var names []string
	for _, g := range w.By {
		names = append(names, g.Labels[v1alpha1.LabelAppTier])
	}
	return words.List(slices.Compact(names))
}
