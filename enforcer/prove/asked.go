package prove

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/policy/rule"
)

// asked is what the policies of the node's pods check about pods at the other end. Two pods with the same answers are
// treated alike. The policies are read by policy/reach, and not by the compiler.
type asked struct {
	rule.Questions
	// labels are the labels of each namespace.
	labels map[string]labels.Set
}

func newAsked(namespaces []*corev1.Namespace, policies []*rule.Policy) asked {
	a := asked{rule.Ask(policies...), map[string]labels.Set{}}
	for _, namespace := range namespaces {
		a.labels[namespace.Name] = namespace.Labels
	}
	return a
}

// of is everything that policies may check about a pod at the other end.
func (a asked) of(pod *corev1.Pod) string {
	namespace := a.labels[pod.Namespace]
	// The API server gives every namespace its name as a label.
	namespace = labels.Merge(namespace, labels.Set{corev1.LabelMetadataName: pod.Namespace})
	where := only(namespace, a.Namespaces)
	if a.Within[pod.Namespace] {
		where += " in " + pod.Namespace
	}
	var ports []string
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, port := range c.Ports {
			if a.Names[port.Name] {
				ports = append(ports, fmt.Sprintf("%s/%s/%d/%v", port.Name, port.Protocol, port.ContainerPort, c.RestartPolicy != nil))
			}
		}
	}
	slices.Sort(ports)
	return where + " " + only(pod.Labels, a.Peers) + " " + strings.Join(ports, ",")
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
