package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/rule"
)

// asked is what policies ask of pods: nothing else distinguishes two pods of a namespace.
type asked struct {
	rule.Questions
	// nodes says that the node of a pod matters.
	nodes bool
}

// askedBy is what the policies of both states ask.
func askedBy(states ...*state) asked {
	var policies []*rule.Policy
	for _, s := range states {
		for _, policy := range s.policies {
			policies = append(policies, &policy.read.Rules)
		}
	}
	return asked{Questions: rule.Ask(policies...)}
}

func (a asked) asks(label string) bool { return a.Subjects[label] || a.Peers[label] }

// id is everything that policies may ask of a pod, of which some labels have values that are not known.
func (a asked) id(pod *corev1.Pod, unknown []string) string {
	set := labels.Set{}
	for key, value := range pod.Labels {
		if a.asks(key) {
			set[key] = value
		}
	}
	node := ""
	if a.nodes {
		node = pod.Spec.NodeName
	}
	return strings.Join([]string{node, pod.Namespace, set.String(), strings.Join(a.namedPorts(pod), ","),
		strings.Join(a.unknown(unknown), ","), strings.Join(a.within(pod), ",")}, "|")
}

// unknown are those keys of labels with unknown values that policies ask about.
func (a asked) unknown(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !a.asks(key) })
}

// within are the families of the pod's addresses, and the blocks that hold one.
func (a asked) within(pod *corev1.Pod) []string {
	var out []string
	for _, address := range kube.Addresses(pod) {
		out = append(out, fmt.Sprint(address.Is4()))
		for i, block := range a.Blocks {
			if block.Contains(address) {
				out = append(out, strconv.Itoa(i))
			}
		}
	}
	return out
}

// beside is what clauses do not tell of a pod: which blocks hold its addresses, which labels are not known, and, of a
// destination, its named ports.
func (a asked) beside(pod *corev1.Pod, isDestination bool) string {
	out := strings.Join(a.within(pod), ",")
	if isDestination {
		out += "|" + strings.Join(a.namedPorts(pod), ",")
	}
	return out
}

func (a asked) namedPorts(pod *corev1.Pod) []string {
	var ports []string
	for _, port := range kube.Ports(pod) {
		if a.Names[port.Name] {
			ports = append(ports, fmt.Sprintf("%s/%s/%d", port.Name, kube.Protocol(port.Protocol), port.ContainerPort))
		}
	}
	slices.Sort(ports)
	return ports
}
