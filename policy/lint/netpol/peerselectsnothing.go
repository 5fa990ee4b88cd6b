package netpol

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// PeerSelectsNothing reports where a peer matches nothing.
var PeerSelectsNothing = register(check.Check{
	ID: "peer-selects-nothing", Severity: check.Warn, About: check.OfBoth, Tiers: true,
	Title: "A peer that matches nothing",
	Text: `A rule for a peer that does not exist allows nothing. Reported if the peer's namespaces have pods and none of
them matches, if there is no such namespace, and for a Service that selects no pods.`,
})

func init() { runs[PeerSelectsNothing] = checkPeers }

// checkPeers finds peers that match nothing, or not what they seem to.
func checkPeers(r *check.Report, v *view) {
	for direction, clause := range v.podPeers() {
		peer := world.PeerOf(direction, clause)
		at := func(name string) *field.Path { return v.clauseField(direction, clause, name) }
		if !checkNamespaceLabel(r, v, at, peer.NamespaceSelector) && !checkOr(r, v, direction, clause, peer) {
			checkPeerMatches(r, v, at, peer, clause.Box, v.PeersOf(direction, clause))
		}
	}
}

// checkPeerMatches finds peers that match no pod, or only pods that selectors do not apply to. At is the path of the
// peer's fields.
func checkPeerMatches(r *check.Report, v *view, at func(string) *field.Path, peer *networkingv1.NetworkPolicyPeer, box connset.Box,
	matched world.Matches) {
	if peer.NamespaceSelector != nil && v.Known.Namespaces && len(v.NamespacesIn(box)) == 0 {
		if r.IsFull(PeerSelectsNothing, check.Warn, at("")) {
			return
		}
		if near := words.Hint(peer.NamespaceSelector, v.NamespaceLabels, "namespaces"); v.Whole || words.IsNear(near) {
			r.Find(PeerSelectsNothing, at("namespaceSelector"), near,
				"no namespace has %s, so this peer matches nothing", words.Selector(peer.NamespaceSelector))
			return
		}
	}
	candidates, known := v.candidates(peer, box)
	switch {
	case !known || len(candidates) == 0:
	case len(matched.All) == 0 && !words.IsEmpty(peer.PodSelector):
		if r.IsFull(PeerSelectsNothing, check.Warn, at("")) {
			return
		}
		fix := words.Hint(peer.PodSelector, world.PodLabels(candidates...), "pods")
		if elsewhere := v.elsewhereWith(peer, box); elsewhere != "" {
			fix = fmt.Sprintf("such pods are in namespace %s: write namespaceSelector: {matchLabels: {%s: %s}} beside podSelector, in the same item",
				elsewhere, corev1.LabelMetadataName, elsewhere)
		}
		r.Find(PeerSelectsNothing, at("podSelector"), fix,
			"no pod of %s has %s, so this peer matches nothing",
			placeWords(v.Policy.Namespace, peer.NamespaceSelector), words.Selector(peer.PodSelector))
	case len(matched.All) > 0 && len(matched.Meant) == 0 && !v.MorePods:
		r.Find(HostNetwork, at(""), "use ipBlock with the addresses of the nodes",
			"every pod that matches, such as %s, is on its node's network and has the node's address, which selectors do not match",
			words.Pod(matched.All[0]))
	}
}

// elsewhereWith is the only other namespace with pods that match a peer without a namespace; empty if there is none, or
// more than one.
func (v *view) elsewhereWith(peer *networkingv1.NetworkPolicyPeer, box connset.Box) string {
	if peer.NamespaceSelector != nil {
		return ""
	}
	found := ""
	for _, c := range v.Namespaces {
		if c == v.Here || !v.Work.Spend(1) || len(v.Matching(c, box, connset.Peer)) == 0 {
			continue
		}
		if found != "" {
			return ""
		}
		found = c.Name
	}
	return found
}

func placeWords(namespace string, selector *metav1.LabelSelector) string {
	if selector == nil {
		return "namespace " + namespace
	}
	return words.Namespaces(selector)
}
