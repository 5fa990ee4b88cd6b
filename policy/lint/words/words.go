// Package words names what findings are about: peers, pods, ports, and what may have been meant.
package words

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/connset"
)

// Peer names a peer of a policy in a namespace for a sentence; nil is everyone.
func Peer(namespace string, peer *networkingv1.NetworkPolicyPeer) string {
	switch {
	case peer == nil:
		return "anyone"
	case peer.IPBlock != nil && len(peer.IPBlock.Except) > 0:
		return fmt.Sprintf("addresses of %s but those excepted", peer.IPBlock.CIDR)
	case peer.IPBlock != nil:
		return "addresses of " + peer.IPBlock.CIDR
	}
	pods := "any pod"
	if !IsEmpty(peer.PodSelector) {
		pods = "pods " + Selector(peer.PodSelector)
	}
	if peer.NamespaceSelector == nil {
		return pods + " of namespace " + namespace
	}
	return pods + " of " + Namespaces(peer.NamespaceSelector)
}

// Namespaces names those that a selector asks for.
func Namespaces(selector *metav1.LabelSelector) string {
	if IsEmpty(selector) {
		return "any namespace"
	}
	if name := selector.MatchLabels[corev1.LabelMetadataName]; name != "" && len(selector.MatchLabels) == 1 &&
		len(selector.MatchExpressions) == 0 {
		return "namespace " + name
	}
	return "namespaces " + Selector(selector)
}

// IsEmpty says whether a selector asks for nothing.
func IsEmpty(selector *metav1.LabelSelector) bool {
	return selector == nil || len(selector.MatchLabels) == 0 && len(selector.MatchExpressions) == 0
}

// Selector writes a selector as kubectl's flag -l takes it.
func Selector(selector *metav1.LabelSelector) string {
	return metav1.FormatLabelSelector(selector)
}

// Labels writes labels as kubectl's flag -l takes them.
func Labels(set map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		parts = append(parts, key+"="+set[key])
	}
	return strings.Join(parts, ",")
}

// Pod names a pod by its namespace and name.
func Pod(pod metav1.Object) string { return pod.GetNamespace() + "/" + pod.GetName() }

// Port names a port, such as "TCP 80".
func Port(port connset.Port) string {
	if port.Protocol() == "" {
		return "protocols without ports, such as ICMP"
	}
	return fmt.Sprintf("%s %d", port.Protocol(), port.Number())
}

// Ports names ports for a sentence.
func Ports(ports []connset.Port) string {
	out := make([]string, len(ports))
	for i, port := range ports {
		out[i] = Port(port)
	}
	return List(out)
}

// List joins words for a sentence.
func List(words []string) string {
	slices.Sort(words)
	words = slices.Compact(words)
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
