package prove

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/policy/kube"
)

// asked is what the policies of the node's pods ask of pods at the other end: nothing else can tell two of these apart.
type asked struct {
	// podKeys and namespaceKeys are of labels, ports the names of ports, and spaces the namespaces that policies are in.
	podKeys, namespaceKeys, ports, spaces map[string]bool
	// labels are those of namespaces.
	labels map[string]labels.Set
}

func newAsked(namespaces []*corev1.Namespace) asked {
	a := asked{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]labels.Set{}}
	for _, namespace := range namespaces {
		a.labels[namespace.Name] = namespace.Labels
	}
	return a
}

func (a asked) add(policy *networkingv1.NetworkPolicy) {
	a.spaces[policy.Namespace] = true
	peers := func(all []networkingv1.NetworkPolicyPeer) {
		for _, peer := range all {
			note(a.podKeys, peer.PodSelector)
			note(a.namespaceKeys, peer.NamespaceSelector)
		}
	}
	ports := func(all []networkingv1.NetworkPolicyPort) {
		for _, port := range all {
			if port.Port != nil && port.Port.Type == intstr.String {
				a.ports[port.Port.StrVal] = true
			}
		}
	}
	for _, rule := range kube.AllRules(policy) {
		peers(rule.Peers)
		ports(rule.Ports)
	}
}

// note notes the keys that a selector asks for.
func note(keys map[string]bool, selector *metav1.LabelSelector) {
	if selector == nil {
		return
	}
	for key := range selector.MatchLabels {
		keys[key] = true
	}
	for _, requirement := range selector.MatchExpressions {
		keys[requirement.Key] = true
	}
}

// of is everything that may be asked of a pod at the other end.
func (a asked) of(pod *corev1.Pod) string {
	namespace := a.labels[pod.Namespace]
	// The API server gives every namespace its name as a label.
	namespace = labels.Merge(namespace, labels.Set{corev1.LabelMetadataName: pod.Namespace})
	where := only(namespace, a.namespaceKeys)
	if a.spaces[pod.Namespace] {
		where += " in " + pod.Namespace
	}
	var ports []string
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, port := range c.Ports {
			if a.ports[port.Name] {
				ports = append(ports, fmt.Sprintf("%s/%s/%d/%v", port.Name, port.Protocol, port.ContainerPort, c.RestartPolicy != nil))
			}
		}
	}
	slices.Sort(ports)
	return where + " " + only(pod.Labels, a.podKeys) + " " + strings.Join(ports, ",")
}

func only(set labels.Set, keys map[string]bool) string {
	kept := labels.Set{}
	for key, value := range set {
		if keys[key] {
			kept[key] = value
		}
	}
	return kept.String()
}
