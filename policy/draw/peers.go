package draw

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// peer is the box of a peer that is neither everyone nor of another AppTier, or nil for one that stands
// for nobody.
func (r rules) peer(peer v1alpha1.Peer) *box {
	outside := func(label string) *box { return r.graph.box(box{key: label, label: label, shape: stadium}) }
	switch {
	case peer.Tier != nil:
		for i := range r.app.Spec.Tiers {
			if r.app.Spec.Tiers[i].Name == *peer.Tier {
				return r.drawing.tier(r.app, &r.app.Spec.Tiers[i])
			}
		}
		return nil
	case peer.Pods != nil:
		return r.graph.box(podsBox(r.app.Namespace, peer.Pods))
	case peer.Namespaces != nil:
		label := "every pod of namespaces " + metav1.FormatLabelSelector(peer.Namespaces)
		return r.graph.box(box{key: label, label: label, shape: rounded})
	case peer.Networks != nil:
		return outside(networks(peer.Networks))
	case peer.Internet != nil:
		return outside("the internet")
	case peer.Nodes != nil:
		return outside("the cluster's nodes")
	case peer.KubeAPIServer != nil:
		return outside("the Kubernetes API server")
	case peer.Service != nil:
		namespace := peer.Service.Namespace
		if namespace == "" {
			namespace = r.app.Namespace
		}
		label := "Service " + peer.Service.Name
		return r.graph.box(box{key: label + " of " + namespace, namespace: namespace, label: label, shape: rounded})
	}
	return nil
}

// podsBox is in its namespace's frame if the selector names one.
func podsBox(namespace string, pods *v1alpha1.PodsPeer) box {
	label := "pods " + metav1.FormatLabelSelector(&pods.PodSelector)
	selector := pods.NamespaceSelector
	if selector != nil {
		namespace = onlyNamespace(selector)
	}
	if namespace != "" {
		return box{key: podsKey(namespace, &pods.PodSelector), namespace: namespace, label: label, shape: rounded}
	}
	label += " of every namespace"
	if len(selector.MatchLabels)+len(selector.MatchExpressions) > 0 {
		label = fmt.Sprintf("pods %s of namespaces %s", metav1.FormatLabelSelector(&pods.PodSelector), metav1.FormatLabelSelector(selector))
	}
	return box{key: label, label: label, shape: rounded}
}

func podsKey(namespace string, selector *metav1.LabelSelector) string {
	return "pods " + metav1.FormatLabelSelector(selector) + " of " + namespace
}

// onlyNamespace is the namespace that a selector names, or "".
func onlyNamespace(selector *metav1.LabelSelector) string {
	if len(selector.MatchLabels) != 1 || len(selector.MatchExpressions) > 0 {
		return ""
	}
	return selector.MatchLabels[corev1.LabelMetadataName]
}

// networks names the first few ranges.
func networks(peer *v1alpha1.NetworksPeer) string {
	label := few(peer.CIDRs)
	if len(peer.Except) > 0 {
		label += " but not " + few(peer.Except)
	}
	return label
}

func few(texts []string) string {
	const most = 3
	if len(texts) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), len(texts)-most)
	}
	return strings.Join(texts, ", ")
}

// dnsPorts are those of DNS servers that AppTiers name without ports.
func dnsPorts() portSet {
	return portSet{of: []expand.Port{newPort(corev1.ProtocolUDP, 53, nil), newPort(corev1.ProtocolTCP, 53, nil)}}
}
