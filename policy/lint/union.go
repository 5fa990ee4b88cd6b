package lint

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/space"
)

// Policies only add up, so what a pod may do is said by all that select it together.

const (
	ingress = networkingv1.PolicyTypeIngress
	egress  = networkingv1.PolicyTypeEgress
)

// union returns what the policies that select a pod allow it in a direction, and whether there is
// any that isolates it: without one it may do anything.
func (v *view) union(pod *corev1.Pod, direction networkingv1.PolicyType) (clauses []space.Clause, isolated bool) {
	for _, policy := range v.policies[pod.Namespace] {
		if !space.Isolates(policy, direction) || !selects(policy, pod) {
			continue
		}
		isolated = true
		clauses = append(clauses, v.clausesOf(policy, direction)...)
	}
	return clauses, isolated
}

func selects(policy *networkingv1.NetworkPolicy, pod *corev1.Pod) bool {
	box := space.Selected(policy)
	return !box.IsEmpty() && box.Match(space.Subject, pod.Labels)
}

// portsBetween returns the ports that clauses of one pod allow with another. Where an address that
// is not known decides, the port is taken to be allowed: what is doubted must be certain.
func (v *view) portsBetween(clauses []space.Clause, pod, peer *corev1.Pod, direction networkingv1.PolicyType) space.Ports {
	var ports space.Ports
	destination := pod
	if direction == egress {
		destination = peer
	}
	for _, clause := range clauses {
		if v.isPeer(clause.Box, peer) {
			ports = ports.Union(clause.Box.Ports).Union(resolve(clause.Named, destination))
		}
	}
	return ports
}

// isPeer says whether a pod may be the other end of connections in a box.
func (v *view) isPeer(box space.Box, pod *corev1.Pod) bool {
	kind := space.Pods
	if pod.Spec.HostNetwork {
		kind = space.Others
	}
	if box.Kinds&kind == 0 {
		return false
	}
	if kind == space.Pods && (!box.Match(space.Peer, pod.Labels) || !box.Match(space.Namespace, v.labelsOf(pod.Namespace))) {
		return false
	}
	addresses := addressesOf(pod)
	return len(addresses) == 0 || slices.ContainsFunc(addresses, box.Addresses.Contains)
}

// resolve looks named ports up at a destination.
func resolve(named []space.NamedPort, destination *corev1.Pod) space.Ports {
	var ports space.Ports
	for _, port := range named {
		for _, declared := range declaredPorts(destination) {
			if declared.Name == port.Name && protocolOf(declared.Protocol) == port.Protocol {
				ports = ports.Union(space.PortRange(port.Protocol, declared.ContainerPort, declared.ContainerPort))
			}
		}
	}
	return ports
}

// declaredPorts are the ports of the containers that run as long as the pod does.
func declaredPorts(pod *corev1.Pod) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	for _, container := range pod.Spec.Containers {
		out = append(out, container.Ports...)
	}
	for _, container := range pod.Spec.InitContainers {
		if ptr.Deref(container.RestartPolicy, "") == corev1.ContainerRestartPolicyAlways { // a sidecar
			out = append(out, container.Ports...)
		}
	}
	return out
}
