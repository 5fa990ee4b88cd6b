package lint

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/connset"
)

// SelectsNothing is found where a policy selects no pod.
const SelectsNothing ID = "selects-nothing"

func init() {
	register(Check{
		ID: SelectsNothing, Severity: Warn, About: ofBoth,
		Title: "Selects no pod",
		Text: `A selector that matches nothing protects nothing, and says nothing about it. Reported when the namespace has
pods, and none of them matches. With an AppTier, of each tier. Objects of kinds that are not known may stand for more pods:
with any, nothing is reported.`,
		Policy:  checkSubjects,
		AppTier: checkTierPods,
	})
}

// PeerSelectsNothing is found where a peer matches nobody.
const PeerSelectsNothing ID = "peer-selects-nothing"

func init() {
	register(Check{
		ID: PeerSelectsNothing, Severity: Warn, About: ofBoth,
		Title: "A peer that matches nobody",
		Text: `A rule for a peer that does not exist allows nothing. Reported when the namespaces that are meant have pods, and
none of them matches, when there is no such namespace, and of a Service that selects no pods.`,
		Policy: checkPeers,
		Tiers:  true,
	})
}

// NamespaceLabelName is found where a namespace is selected by a label that nothing sets.
const NamespaceLabelName ID = "namespace-label-name"

func init() {
	register(Check{
		ID: NamespaceLabelName, Severity: Warn, About: ofBoth,
		Title: "A namespace selected by the label name",
		Text: `Nothing sets a label ` + "`name`" + ` on namespaces. The API server sets ` + "`kubernetes.io/metadata.name`" + ` on every one. Where the
namespace that is meant is not known, someone may have set it, and it is no more than a note.`,
	})
}

// HostNetwork is found where pods on their node's network are neither selected nor matched.
const HostNetwork ID = "host-network"

func init() {
	register(Check{
		ID: HostNetwork, Severity: Warn, About: ofBoth,
		Title: "Pods on their node's network",
		Text: `A pod on its node's network is the node to every policy: nothing isolates it, and selectors do not match it.
Reported when all the pods that are selected, or that a peer matches, are such pods.`,
		TierFix: "use the peer nodes: {}",
	})
}

// checkSubjects finds policies that protect nothing: with a typo, a selector matches nothing, and
// says nothing about it.
func checkSubjects(r *report, v *view) {
	namespace, selector := v.policy.Namespace, &v.policy.Spec.PodSelector
	if isEmpty(selector) || !v.knowsPods(v.here) {
		return
	}
	path := specPath.Child("podSelector")
	selected := v.here.selected(v.policy)
	switch {
	case len(selected) == 0:
		r.find(SelectsNothing, path, hint(selector, labelsOfPods(v.here), "pods"),
			"no pod of namespace %s has %s, so the policy protects nothing", namespace, selectorWords(selector))
	case len(onPodNetwork(selected)) == 0:
		r.find(HostNetwork, path, "restrict the node's traffic otherwise: a policy cannot",
			"every pod that is selected, such as %s, is on its node's network, where policies do not apply", podWords(selected[0]))
	}
}

// checkPeers finds peers that match nobody, or not whom they seem to.
func checkPeers(r *report, v *view) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		for _, clause := range v.policy.clauses(direction) {
			peer := peerOf(direction, clause)
			if peer == nil || peer.IPBlock != nil {
				continue
			}
			if !v.work.spend(1) {
				return
			}
			at := func(name string) *field.Path { return v.clauseField(direction, clause, name) }
			if !checkNamespaceLabel(r, v, at, peer.NamespaceSelector) && !checkOr(r, v, direction, clause, peer) {
				checkPeerMatches(r, v, at, peer, clause.Box, v.peersOf(direction, clause))
			}
		}
	}
}

// checkNamespaceLabel finds selectors for a label "name", which nothing sets by itself: namespaces
// have kubernetes.io/metadata.name
// (https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name).
func checkNamespaceLabel(r *report, v *view, at func(string) *field.Path, selector *metav1.LabelSelector) bool {
	if selector == nil || v.named { // someone does set it
		return false
	}
	for _, wanted := range wantedLabels(selector) {
		key, value := wanted[0], wanted[1]
		if key != "name" {
			continue
		}
		path, fix := at("namespaceSelector"), "write "+corev1.LabelMetadataName+": "+value
		if v.knowsNamespaces() || v.at(value).exists {
			r.find(NamespaceLabelName, path, fix, "the label name is set by nobody unless someone does it by hand, so this matches no namespace")
		} else {
			r.add(NamespaceLabelName, Note, path, fix, "the label name is set by nobody unless someone does it by hand; whether someone does is not known here")
		}
		return true
	}
	return false
}

// checkPeerMatches finds peers that match no pod, or none that a selector can mean. At is where the peer's fields
// are.
func checkPeerMatches(r *report, v *view, at func(string) *field.Path, peer *networkingv1.NetworkPolicyPeer, box connset.Box, matched matches) {
	isMatch := func(c *contents) bool { return box.Match(connset.Namespace, c.labels) }
	if peer.NamespaceSelector != nil && v.known.Namespaces && !slices.ContainsFunc(v.namespaces, isMatch) {
		if r.isFull(PeerSelectsNothing, Warn, at("")) {
			return
		}
		if near := hint(peer.NamespaceSelector, v.labelsOfNamespaces, "namespaces"); v.whole || isNear(near) {
			r.find(PeerSelectsNothing, at("namespaceSelector"), near, "no namespace has %s, so this peer matches nobody", selectorWords(peer.NamespaceSelector))
			return
		}
	}
	candidates, known := v.candidates(peer, box)
	switch {
	case !known || len(candidates) == 0:
	case len(matched.all) == 0 && !isEmpty(peer.PodSelector):
		if r.isFull(PeerSelectsNothing, Warn, at("")) {
			return
		}
		fix := hint(peer.PodSelector, labelsOfPods(candidates...), "pods")
		if elsewhere := v.elsewhereWith(peer, box); elsewhere != "" {
			fix = fmt.Sprintf("such pods are in namespace %s: write namespaceSelector: {matchLabels: {%s: %s}} beside podSelector, in the same item",
				elsewhere, corev1.LabelMetadataName, elsewhere)
		}
		r.find(PeerSelectsNothing, at("podSelector"), fix,
			"no pod of %s has %s, so this peer matches nobody", placeWords(v.policy.Namespace, peer.NamespaceSelector), selectorWords(peer.PodSelector))
	case len(matched.all) > 0 && len(matched.meant) == 0 && !v.morePods:
		r.find(HostNetwork, at(""), "use ipBlock with the addresses of the nodes",
			"every pod that matches, such as %s, is on its node's network and has the node's address, which selectors do not match", podWords(matched.all[0]))
	}
}

// elsewhereWith is the one other namespace with pods that a peer without a namespace asks for; empty if
// there is none, or more than one.
func (v *view) elsewhereWith(peer *networkingv1.NetworkPolicyPeer, box connset.Box) string {
	if peer.NamespaceSelector != nil {
		return ""
	}
	var found []string
	for _, c := range v.namespaces {
		if c != v.here && v.work.spend(1) && len(v.matching(c, box, connset.Peer)) > 0 {
			found = append(found, c.name)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

func placeWords(namespace string, selector *metav1.LabelSelector) string {
	if selector == nil {
		return "namespace " + namespace
	}
	return namespacesWords(selector)
}

// candidates are the namespaces with pods that a peer is about; the pods are known if those of every
// such namespace are.
func (v *view) candidates(peer *networkingv1.NetworkPolicyPeer, box connset.Box) (of []*contents, known bool) {
	if peer.NamespaceSelector != nil && !v.whole {
		if _, named := box.Values(connset.Label{Scope: connset.Namespace, Key: corev1.LabelMetadataName}).Listed(); !named {
			return nil, false
		}
	}
	for _, c := range v.namespaces {
		if !box.Match(connset.Namespace, c.labels) {
			continue
		}
		if !v.whole && !v.knowsPods(c) {
			return nil, false
		}
		if len(c.pods) > 0 {
			of = append(of, c)
		}
	}
	return of, v.known.Pods && !v.morePods
}
