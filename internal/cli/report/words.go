package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PeersWords names the peers of a rule; none are everyone.
func PeersWords(peers []networkingv1.NetworkPolicyPeer) []string {
	if len(peers) == 0 {
		return []string{"everyone"}
	}
	var words []string
	for _, peer := range peers {
		words = append(words, peerWords(peer))
	}
	return words
}

func peerWords(peer networkingv1.NetworkPolicyPeer) string {
	if block := peer.IPBlock; block != nil {
		switch len(block.Except) {
		case 0:
			return block.CIDR
		case 1:
			return block.CIDR + " but " + block.Except[0]
		default:
			return fmt.Sprintf("%s but %d ranges", block.CIDR, len(block.Except))
		}
	}
	pods := "every pod"
	if peer.PodSelector != nil && !IsEmptySelector(peer.PodSelector) {
		pods = "pods " + metav1.FormatLabelSelector(peer.PodSelector)
	}
	switch selector := peer.NamespaceSelector; {
	case selector == nil:
		return pods
	case IsEmptySelector(selector):
		return pods + " of every namespace"
	case len(selector.MatchLabels) == 1 && len(selector.MatchExpressions) == 0 && selector.MatchLabels[corev1.LabelMetadataName] != "":
		return pods + " of namespace " + selector.MatchLabels[corev1.LabelMetadataName]
	default:
		return pods + " of namespaces " + metav1.FormatLabelSelector(selector)
	}
}

// IsEmptySelector says whether a selector selects everything.
func IsEmptySelector(selector *metav1.LabelSelector) bool {
	return len(selector.MatchLabels) == 0 && len(selector.MatchExpressions) == 0
}

// PortsWords names the ports of a rule; none are every port.
func PortsWords(ports []networkingv1.NetworkPolicyPort) []string {
	if len(ports) == 0 {
		return []string{"every port"}
	}
	var words []string
	for _, p := range ports {
		text := string(corev1.ProtocolTCP)
		if p.Protocol != nil {
			text = string(*p.Protocol)
		}
		if p.Port != nil {
			text += " " + p.Port.String()
		}
		if p.EndPort != nil {
			text += fmt.Sprintf("-%d", *p.EndPort)
		}
		words = append(words, text)
	}
	return words
}

// LabelWords writes labels as kubectl's flag -l takes them.
func LabelWords(set map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		parts = append(parts, key+"="+set[key])
	}
	return strings.Join(parts, ",")
}

// Few shows the first of many words, for a table.
func Few(words []string) string {
	const most = 3
	if len(words) > most+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}
