package netpol

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// DNSPeerOr reports where a policy says a namespace or DNS pods, and means DNS pods of the namespace.
var DNSPeerOr = register(check.Check{
	ID: "dns-peer-or", Severity: check.Warn, About: check.OfBoth,
	Title: "DNS servers written as two list items",
	Text: `Two list items mean either of them: every pod of kube-system, and pods labelled as DNS servers in this
namespace, which anyone here can create. Write both conditions in one item.`,
	TierFix: "write one item, pods: {namespaceSelector, podSelector}, or leave it out: DNS is allowed by default",
})

// PeerOr reports where a policy says a namespace or pods, and means pods of the namespace.
var PeerOr = register(check.Check{
	ID: "peer-or", Severity: check.Warn, About: check.OfBoth,
	Title: "OR where AND is meant",
	Text: `Two list items mean either of them. Reported if the pods that the second item selects exist in the namespaces
of the first and not in this one.`,
	TierFix: "write one item, pods: {namespaceSelector, podSelector}",
})

// checkOr finds two list items where one was meant: a namespace, and beside it pods that are in that
// namespace and not in this one. As two items they mean either
// (https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-to-and-from-selectors).
func checkOr(r *check.Report, v *view, direction networkingv1.PolicyType, clause connset.Clause,
	pods *networkingv1.NetworkPolicyPeer) bool {
	if pods.NamespaceSelector != nil || words.IsEmpty(pods.PodSelector) || len(v.PeersOf(direction, clause).All) > 0 {
		return false
	}
	isDNS := direction == egress && v.Policy.Namespace != metav1.NamespaceSystem &&
		clause.Box.Ports.Contains(connset.PortOf(corev1.ProtocolUDP, 53)) && pods.PodSelector.MatchLabels["k8s-app"] == "kube-dns"
	for _, i := range v.wholeNamespaces(direction, clause.Rule) {
		other := world.PeersOfRule(v.Policy.NetworkPolicy, direction, clause.Rule)[i]
		id, doubtful := PeerOr, v.KnowsPods(v.Here) && len(v.Peers(both(other.NamespaceSelector, pods.PodSelector))) > 0
		if isDNS {
			id, doubtful = DNSPeerOr, true
		}
		if !doubtful {
			continue
		}
		r.Find(id, v.clauseField(direction, clause, ""), "write namespaceSelector and podSelector in one list item, with one dash",
			"as two list items, %s and %s mean either one: %s, and %s", v.places.Peer(direction, clause.Rule, i), v.clausePlace(direction, clause),
			words.Peer(v.Policy.Namespace, &other), words.Peer(v.Policy.Namespace, pods))
		return true
	}
	return false
}

// both are the connections with pods that match, in namespaces that match.
func both(namespaces, pods *metav1.LabelSelector) connset.Box {
	box, err := connset.Everything().WhereSelected(connset.Namespace, namespaces)
	if err == nil {
		box, err = box.WhereSelected(connset.Peer, pods)
	}
	if err != nil {
		return connset.Box{}
	}
	return box
}
