package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// peer is a parsed NetworkPolicyPeer: either selectors or a block of addresses. Its zero value
// matches nobody.
type peer struct {
	// pods is nil for a peer without selectors.
	pods labels.Selector
	// namespaces is nil when only the namespace named by namespace is meant.
	namespaces labels.Selector
	namespace  string

	// block is invalid for a peer without ipBlock.
	block  netip.Prefix
	except []netip.Prefix
}

// newPeer parses a peer of a policy in the given namespace.
func newPeer(namespace string, from networkingv1.NetworkPolicyPeer) (peer, error) {
	hasSelector := from.PodSelector != nil || from.NamespaceSelector != nil
	switch {
	case from.IPBlock != nil && hasSelector:
		return peer{}, errors.New("ipBlock excludes podSelector and namespaceSelector")
	case from.IPBlock != nil:
		return newBlockPeer(*from.IPBlock)
	case hasSelector:
		return newSelectorPeer(namespace, from)
	default:
		return peer{}, errors.New("needs a podSelector, a namespaceSelector or an ipBlock")
	}
}

func newSelectorPeer(namespace string, from networkingv1.NetworkPolicyPeer) (peer, error) {
	p := peer{namespace: namespace, pods: labels.Everything()}
	var err error
	if from.PodSelector != nil {
		if p.pods, err = metav1.LabelSelectorAsSelector(from.PodSelector); err != nil {
			return peer{}, fmt.Errorf("podSelector: %w", err)
		}
	}
	if from.NamespaceSelector != nil {
		if p.namespaces, err = metav1.LabelSelectorAsSelector(from.NamespaceSelector); err != nil {
			return peer{}, fmt.Errorf("namespaceSelector: %w", err)
		}
	}
	return p, nil
}

func newBlockPeer(block networkingv1.IPBlock) (peer, error) {
	var p peer
	var err error
	if p.block, err = parseRange(block.CIDR); err != nil {
		return peer{}, fmt.Errorf("ipBlock.cidr: %w", err)
	}
	for i, except := range block.Except {
		prefix, err := parseRange(except)
		if err != nil {
			// An exception that cannot be read might hold any address of the block.
			return peer{}, fmt.Errorf("ipBlock.except[%d]: %w", i, err)
		}
		p.except = append(p.except, prefix)
	}
	return p, nil
}

// parseRange reads a range. IPv4 written as IPv6, which the API server stored before Kubernetes 1.36 and
// which stays (KEP-4858), is IPv4.
func parseRange(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return prefix, fmt.Errorf("%q is no range of addresses, such as 203.0.113.0/24", text) // people know no netip
	}
	if before := 128 - 32; prefix.Addr().Is4In6() && prefix.Bits() >= before {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-before)
	}
	return prefix, nil
}

// matches tells whether the peer is the given end of a flow. Selectors match pods alone, and not
// those on their node's network; a block matches any address, and cannot tell for a pod that has
// none yet.
func (p peer) matches(other party) Verdict {
	switch {
	case p.block.IsValid() && !other.address.IsValid():
		return Unknown
	case p.block.IsValid():
		return allowIf(p.contains(other.address))
	case p.pods == nil || other.pod == nil:
		return Deny
	default:
		verdict := Allow
		for _, one := range other.each() {
			verdict = verdict.and(p.selectsNamespace(one)).and(selects(p.pods, one.pod.Labels, one.unknown))
		}
		return verdict
	}
}

func (p peer) contains(address netip.Addr) bool {
	excepted := slices.ContainsFunc(p.except, func(e netip.Prefix) bool { return e.Contains(address) })
	return p.block.Contains(address) && !excepted
}

// selectsNamespace is unknown when labels decide that the snapshot does not hold.
func (p peer) selectsNamespace(other party) Verdict {
	if p.namespaces == nil {
		return allowIf(p.namespace == other.pod.Namespace)
	}
	if other.namespaceKnown {
		return allowIf(p.namespaces.Matches(other.namespaceLabels))
	}
	requirements, selectable := p.namespaces.Requirements()
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

// portMatcher is a parsed NetworkPolicyPort. Its zero value matches nothing.
type portMatcher struct {
	protocol corev1.Protocol
	// name is set for a named port; otherwise the numbers from first to last match.
	name        string
	first, last int32
}

// newPortMatcher parses a port (API, NetworkPolicyPort).
func newPortMatcher(port networkingv1.NetworkPolicyPort) (portMatcher, error) {
	m := portMatcher{protocol: corev1.ProtocolTCP}
	if port.Protocol != nil {
		m.protocol = orTCP(*port.Protocol)
	}
	switch {
	case !hasPorts(m.protocol):
		return portMatcher{}, fmt.Errorf("protocol %q is none of TCP, UDP and SCTP", m.protocol)
	case port.Port == nil && port.EndPort != nil:
		return portMatcher{}, errors.New("endPort needs a port")
	case port.Port == nil:
		m.first, m.last = 1, 65535
	case port.Port.Type == intstr.String && port.EndPort != nil:
		return portMatcher{}, errors.New("endPort excludes a named port")
	case port.Port.Type == intstr.String:
		if m.name = port.Port.StrVal; m.name == "" {
			return portMatcher{}, errors.New("port has an empty name")
		}
	case port.EndPort != nil && *port.EndPort < port.Port.IntVal:
		return portMatcher{}, errors.New("endPort is below port")
	case port.EndPort != nil:
		m.first, m.last = port.Port.IntVal, *port.EndPort
	default:
		m.first, m.last = port.Port.IntVal, port.Port.IntVal
	}
	if m.name == "" && (m.last < 1 || m.first > 65535) {
		return portMatcher{}, fmt.Errorf("port %d is not between 1 and 65535", m.first)
	}
	return m, nil
}

// matches tells whether the flow goes to this port.
func (m portMatcher) matches(to destination) bool {
	switch {
	case m.protocol != to.protocol:
		return false
	case m.name == "":
		return m.first <= to.port && to.port <= m.last
	default:
		return len(to.pods) > 0 && !slices.ContainsFunc(to.pods, func(pod *corev1.Pod) bool {
			return !hasNamedPort(pod, m.name, to.protocol, to.port)
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
