package compare

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// asked is what policies ask of pods: nothing else tells two of a namespace apart.
type asked struct {
	// labels are keys of labels, and ports names of ports.
	labels, ports map[string]bool
	// blocks are ranges of addresses.
	blocks []netip.Prefix
	// nodes says that the node of a pod matters.
	nodes bool
}

// askedBy is what the policies of both states ask.
func askedBy(states ...reach.Snapshot) asked {
	a := asked{labels: map[string]bool{}, ports: map[string]bool{}}
	for _, s := range states {
		for _, policy := range s.Policies {
			a.note(&policy.Spec.PodSelector)
			for _, rule := range kube.AllRules(policy) {
				a.add(rule.Peers, rule.Ports)
			}
		}
	}
	return a
}

func (a *asked) add(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) {
	for _, peer := range peers {
		a.note(peer.PodSelector)
		if peer.IPBlock == nil {
			continue
		}
		for _, text := range append([]string{peer.IPBlock.CIDR}, peer.IPBlock.Except...) {
			if block, err := netip.ParsePrefix(text); err == nil && !slices.Contains(a.blocks, block) {
				a.blocks = append(a.blocks, block)
			}
		}
	}
	for _, port := range ports {
		if port.Port != nil && port.Port.Type == intstr.String {
			a.ports[port.Port.StrVal] = true
		}
	}
}

func (a *asked) note(selector *metav1.LabelSelector) {
	if selector == nil {
		return
	}
	for key := range selector.MatchLabels {
		a.labels[key] = true
	}
	for _, requirement := range selector.MatchExpressions {
		a.labels[requirement.Key] = true
	}
}

// id is everything that policies may ask of a pod, of which some labels have values that are not known.
func (a asked) id(pod *corev1.Pod, unknown []string) string {
	set := labels.Set{}
	for key, value := range pod.Labels {
		if a.labels[key] {
			set[key] = value
		}
	}
	node := ""
	if a.nodes {
		node = pod.Spec.NodeName
	}
	return strings.Join([]string{node, pod.Namespace, set.String(), strings.Join(a.namedPorts(pod), ","), strings.Join(a.unknown(unknown), ","), strings.Join(a.within(pod), ",")}, "|")
}

// unknown are those keys of labels with unknown values that policies ask about.
func (a asked) unknown(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !a.labels[key] })
}

// within are the families of the pod's addresses, and the blocks that hold one.
func (a asked) within(pod *corev1.Pod) []string {
	var out []string
	for _, address := range kube.Addresses(pod) {
		out = append(out, fmt.Sprint(address.Is4()))
		for i, block := range a.blocks {
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
		if a.ports[port.Name] {
			ports = append(ports, fmt.Sprintf("%s/%s/%d", port.Name, kube.Protocol(port.Protocol), port.ContainerPort))
		}
	}
	slices.Sort(ports)
	return ports
}
