package draw

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// peer is the box of a peer that is neither everyone nor of another AppTier, or nil for one that stands
// for nobody.
func (r rules) peer(peer *v1alpha1.Peer) *box { return model.Visit(peer, boxOf{r}) }

// boxOf is the box of a peer.
type boxOf struct{ rules }

func (b boxOf) outside(label string) *box {
	return b.graph.box(box{key: label, label: label, shape: stadium})
}

func (b boxOf) Tier(name string) *box {
	if tier := model.TierNamed(&b.app.Spec, name); tier != nil {
		return b.drawing.tier(b.app, tier)
	}
	return nil
}

func (b boxOf) Pods(pods *v1alpha1.PodsPeer) *box { return b.graph.box(podsBox(b.app.Namespace, pods)) }

func (b boxOf) Namespaces(selector *metav1.LabelSelector) *box {
	label := "every pod of namespaces " + metav1.FormatLabelSelector(selector)
	return b.graph.box(box{key: label, label: label, shape: rounded})
}

func (b boxOf) Service(reference *v1alpha1.ServiceReference) *box {
	key, label := model.Key(b.app, reference.Namespace, reference.Name), "Service "+reference.Name
	return b.graph.box(box{key: label + " of " + key.Namespace, namespace: key.Namespace, label: label, shape: rounded})
}

func (b boxOf) Networks(peer *v1alpha1.NetworksPeer) *box { return b.outside(networks(peer)) }
func (b boxOf) Internet() *box                            { return b.outside("the internet") }
func (b boxOf) Nodes() *box                               { return b.outside("the cluster's nodes") }
func (b boxOf) KubeAPIServer() *box                       { return b.outside("the Kubernetes API server") }

func (boxOf) AppTier(*v1alpha1.AppTierReference) *box { return nil } // drawn with its rule
func (boxOf) Everyone() *box                          { return nil } // another box for each direction
func (boxOf) Nobody() *box                            { return nil }

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
	return portSet{Ports: model.Ports{Of: []model.Port{model.NewPort(corev1.ProtocolUDP, 53, nil),
		model.NewPort(corev1.ProtocolTCP, 53, nil)}}}
}
