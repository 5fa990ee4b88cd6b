package world

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// IsPeer says whether a pod may be the other end of connections in a box.
func IsPeer(box *connset.Box, pod *Pod) bool {
	kind := connset.Pods
	if pod.Spec.HostNetwork {
		kind = connset.Others
	}
	if box.Kinds&kind == 0 {
		return false
	}
	if kind == connset.Pods && (!box.Match(connset.Namespace, pod.In.Labels) || !box.Match(connset.Peer, pod.Labels)) {
		return false
	}
	return len(pod.Addresses) == 0 || slices.ContainsFunc(pod.Addresses, box.Addresses.Contains)
}

// Resolve looks named ports up at a destination.
func Resolve(named []connset.NamedPort, destination *Pod) connset.Ports {
	var ports connset.Ports
	for _, port := range named {
		for _, declared := range destination.Ports {
			if declared.Name == port.Name && kube.Protocol(declared.Protocol) == port.Protocol {
				ports = ports.Union(connset.PortRange(port.Protocol, declared.ContainerPort, declared.ContainerPort))
			}
		}
	}
	return ports
}

// MostBoxes limits the boxes that decide a question about all pods that could exist.
const MostBoxes = 2_000

// IsWithin says whether boxes certainly lie within others.
func IsWithin(boxes, others []connset.Box) bool {
	left, ok := connset.Subtract(boxes, others, MostBoxes)
	return ok && len(left) == 0
}

// Where returns the items of a list for which a function returns true.
func Where[T any](list []T, wanted func(T) bool) []T {
	var out []T
	for _, item := range list {
		if wanted(item) {
			out = append(out, item)
		}
	}
	return out
}

// PrivateIPv4 are the private ranges of RFC 1918.
var PrivateIPv4 = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}

// PeerOf returns the peer of a clause; nil for everyone.
func PeerOf(direction networkingv1.PolicyType, clause connset.Clause) *networkingv1.NetworkPolicyPeer {
	if clause.Peer < 0 {
		return nil
	}
	return &PeersOfRule(clause.Policy, direction, clause.Rule)[clause.Peer]
}

// PeersOfRule are the peers of one rule.
func PeersOfRule(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType, rule int) []networkingv1.NetworkPolicyPeer {
	if direction == ingress {
		return policy.Spec.Ingress[rule].From
	}
	return policy.Spec.Egress[rule].To
}
