package adopt

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

const (
	ingress = networkingv1.PolicyTypeIngress
	egress  = networkingv1.PolicyTypeEgress
)

var directions = []networkingv1.PolicyType{ingress, egress}

// read is a policy as far as it matters to an AppTier.
type read struct {
	policy   *networkingv1.NetworkPolicy
	selector *metav1.LabelSelector
	isolates map[networkingv1.PolicyType]bool
	// allows are what its rules allow, in the directions that it isolates.
	allows map[networkingv1.PolicyType]allowances
	// numbers are the ports that it calls by names, and the names.
	numbers map[int32]string
}

// reader reads policies among what is given.
type reader struct{ in *Input }

// read reads a policy. Its error says why it has to stay.
func (r reader) read(policy *networkingv1.NetworkPolicy) (*read, error) {
	out := &read{
		policy: policy, isolates: map[networkingv1.PolicyType]bool{}, numbers: map[int32]string{},
		allows: map[networkingv1.PolicyType]allowances{ingress: {}, egress: {}},
	}
	var err error
	if out.selector, err = readSelector(&policy.Spec.PodSelector); err != nil {
		return nil, fmt.Errorf("spec.podSelector: %w", err)
	}
	subject, err := podsPeer(policy.Namespace, nil, out.selector)
	if err != nil {
		return nil, fmt.Errorf("spec.podSelector: %w", err)
	}
	for _, direction := range directions {
		if out.isolates[direction] = kube.Isolates(&policy.Spec, direction); !out.isolates[direction] {
			continue // rules of a direction that is not isolated change nothing
		}
		for i, rule := range kube.Rules(policy, direction) {
			if err := r.rule(out, subject, direction, rule); err != nil {
				return nil, fmt.Errorf("spec.%s[%d]: %w", field(direction), i, err)
			}
		}
	}
	if !out.isolates[ingress] && !out.isolates[egress] {
		return nil, errors.New("spec.policyTypes: it is about no direction")
	}
	return out, nil
}

func field(direction networkingv1.PolicyType) string {
	if direction == ingress {
		return "ingress"
	}
	return "egress"
}

func (r reader) rule(out *read, subject peer, direction networkingv1.PolicyType, rule kube.Rule) error {
	peers := []peer{everyone()}
	if len(rule.Peers) > 0 {
		peers = nil
	}
	for _, of := range rule.Peers {
		p, err := readPeer(out.policy.Namespace, of)
		if err != nil {
			return err
		}
		peers = append(peers, p)
	}
	for _, p := range peers {
		destination := subject
		if direction == egress {
			destination = p
		}
		on, err := readPorts(rule.Ports, func(name string, protocol corev1.Protocol) (int32, error) {
			number, err := r.numberOf(destination, name, protocol)
			if err == nil {
				out.numbers[number] = name
			}
			return number, err
		})
		if err != nil {
			return err
		}
		out.allows[direction].add(p, on)
	}
	return nil
}

// numberOf is the number that all pods of a destination that are given have for the name of a port.
func (r reader) numberOf(destination peer, name string, protocol corev1.Protocol) (int32, error) {
	if destination.pods == nil {
		return 0, fmt.Errorf("the port %q is known by its name alone, which is another number at each destination", name)
	}
	var number int32
	for _, pod := range r.in.podsOf(destination) {
		found := kube.PortsNamed([]*corev1.Pod{pod.Pod}, name, protocol)
		switch {
		case len(found) != 1:
			return 0, fmt.Errorf("the port %q is known by its name, and pod %s/%s has none of it", name, pod.Namespace, pod.Name)
		case number != 0 && number != found[0]:
			return 0, fmt.Errorf("the port %q is known by its name, which is %d at some pods and %d at others", name, number, found[0])
		}
		number = found[0]
	}
	if number == 0 {
		return 0, fmt.Errorf("the port %q is known by its name, and no pod that is given says its number", name)
	}
	return number, nil
}

// podsOf are the pods that are given and that a peer is about, or may be, as the namespace of the peer's policy has it.
func (in *Input) podsOf(p peer) []Pod {
	var out []Pod
	for _, pod := range in.Pods {
		if pod.Spec.HostNetwork || kube.Finished(pod.Pod) {
			continue
		}
		if in.mayBeIn(pod.Namespace, p.box) && p.box.Match(connset.Peer, pod.Labels) {
			out = append(out, pod)
		}
	}
	return out
}

// mayBeIn says whether a namespace meets the conditions of a box. Of one that is not given, only the name is known, and it
// may have any other labels.
func (in *Input) mayBeIn(namespace string, box connset.Box) bool {
	set, known := in.labels[namespace]
	if !known {
		set = labels.Set{corev1.LabelMetadataName: namespace}
		box = box.Without(connset.Namespace, func(key string) bool { return key != corev1.LabelMetadataName })
	}
	return box.Match(connset.Namespace, set)
}
