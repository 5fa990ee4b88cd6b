package reach

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/apptier/apptier/policy/rule"
)

// matchesPeer tells whether the peer is the given end of a flow. Selectors match pods alone, and not
// those on their node's network; a block matches any address, and cannot tell for a pod that has
// none yet.
func matchesPeer(peer rule.Peer, other party) Verdict {
	block, pods := peer.Block, peer.Pods
	switch {
	case block.CIDR.IsValid() && !other.address.IsValid():
		return Unknown
	case block.CIDR.IsValid():
		return allowIf(block.Contains(other.address))
	case pods.Labels == nil || other.pod == nil:
		return Deny
	default:
		verdict := Allow
		for _, one := range other.each() {
			verdict = verdict.and(selectsNamespace(pods, one)).and(selects(pods.Labels, one.pod.Labels, one.unknown))
		}
		return verdict
	}
}

// selectsNamespace is unknown when labels decide that the snapshot does not hold.
func selectsNamespace(pods rule.Pods, other party) Verdict {
	if pods.Namespaces == nil {
		return allowIf(pods.Namespace == other.pod.Namespace)
	}
	if other.namespaceKnown {
		return allowIf(pods.Namespaces.Matches(other.namespaceLabels))
	}
	requirements, selectable := pods.Namespaces.Requirements()
	verdict := allowIf(selectable)
	for _, requirement := range requirements {
		if requirement.Key() == corev1.LabelMetadataName {
			verdict = verdict.and(allowIf(requirement.Matches(other.namespaceLabels)))
		} else {
			verdict = verdict.and(Unknown)
		}
	}
	return verdict
}

// selects is unknown when labels decide whose values are not known. That a label is there is known.
func selects(selector labels.Selector, set labels.Set, unknown []string) Verdict {
	if len(unknown) == 0 {
		return allowIf(selector.Matches(set))
	}
	requirements, selectable := selector.Requirements()
	verdict := allowIf(selectable)
	for _, requirement := range requirements {
		_, isKnown := set[requirement.Key()]
		switch operator := requirement.Operator(); {
		case isKnown || !slices.Contains(unknown, requirement.Key()):
			verdict = verdict.and(allowIf(requirement.Matches(set)))
		case operator == selection.Exists || operator == selection.DoesNotExist:
			verdict = verdict.and(allowIf(operator == selection.Exists))
		default:
			verdict = verdict.and(Unknown)
		}
	}
	return verdict
}

func allowIf(ok bool) Verdict {
	if ok {
		return Allow
	}
	return Deny
}

// destination is where a flow goes, as far as a rule's ports are concerned.
type destination struct {
	protocol corev1.Protocol
	port     int32
	// pods are those whose names for ports count, and all must agree; none for what is no pod.
	pods []*corev1.Pod
}

// isAt tells whether the flow goes to this port.
func (to destination) isAt(port rule.Port) bool {
	switch {
	case port.Protocol != to.protocol:
		return false
	case port.Name == "":
		return port.First <= to.port && to.port <= port.Last
	default:
		return len(to.pods) > 0 && !slices.ContainsFunc(to.pods, func(pod *corev1.Pod) bool {
			return !hasNamedPort(pod, port.Name, to.protocol, to.port)
		})
	}
}

// hasNamedPort tells whether a container that runs as long as the pod does declares this name for
// this protocol and number. Init containers that end before the others start cannot be reached by
// the time that anyone asks; sidecars, which restart always, can.
func hasNamedPort(pod *corev1.Pod, name string, protocol corev1.Protocol, number int32) bool {
	declares := func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return p.Name == name && orTCP(p.Protocol) == protocol && p.ContainerPort == number
		})
	}
	return slices.ContainsFunc(pod.Spec.Containers, declares) ||
		slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
			return isSidecar(c) && declares(c)
		})
}

func isSidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// orTCP fills in the default protocol of policies, container ports and flows.
func orTCP(protocol corev1.Protocol) corev1.Protocol {
	if protocol == "" {
		return corev1.ProtocolTCP
	}
	return protocol
}

// hasPorts tells whether a protocol has ports, and so can be named in a policy.
func hasPorts(protocol corev1.Protocol) bool {
	return protocol == corev1.ProtocolTCP || protocol == corev1.ProtocolUDP || protocol == corev1.ProtocolSCTP
}
