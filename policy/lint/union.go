package lint

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// Policies only add up, so what a pod may do is said by all that select it together.

const (
	ingress = networkingv1.PolicyTypeIngress
	egress  = networkingv1.PolicyTypeEgress
)

// memberOf is what decides which policies select a pod: those that are known to, and the judged one.
type memberOf struct {
	*class
	judged bool
}

func (v *view) membership(pod *knownPod) memberOf {
	return memberOf{pod.class, pod.in == v.here && !v.policy.selected.IsEmpty() && v.policy.selected.Match(connset.Subject, pod.Labels)}
}

// policiesOf are the policies that select a pod, with the judged one in place of what it was.
func (v *view) policiesOf(pod *knownPod) []*knownPolicy {
	if pod.in != v.here {
		return pod.class.policies
	}
	of := v.membership(pod)
	policies, found := v.selecting[of]
	if !found {
		policies = where(of.policies, func(other *knownPolicy) bool { return !isSame(other, v.policy) })
		if of.judged {
			policies = slices.Insert(policies, 0, v.policy)
		}
		v.selecting[of] = policies
	}
	return policies
}

// clausesOf returns what policies allow in a direction.
func clausesOf(policies []*knownPolicy, direction networkingv1.PolicyType) []connset.Clause {
	var out []connset.Clause
	for _, policy := range policies {
		out = append(out, policy.clauses(direction)...)
	}
	return out
}

// union returns the policies that select a pod, and whether there is any that isolates it in a
// direction: without one it may do anything.
func (v *view) union(pod *knownPod, direction networkingv1.PolicyType) (policies []*knownPolicy, isolated bool) {
	policies = v.policiesOf(pod)
	return policies, slices.ContainsFunc(policies, func(p *knownPolicy) bool { return p.isolates(direction) })
}

// portsBetween returns the ports that policies of one pod allow with another. Where an address that
// is not known decides, the port is taken to be allowed: what is doubted must be certain.
func portsBetween(policies []*knownPolicy, pod, peer *knownPod, direction networkingv1.PolicyType) connset.Ports {
	var ports connset.Ports
	destination := pod
	if direction == egress {
		destination = peer
	}
	for _, policy := range policies {
		clauses := policy.clauses(direction)
		for i := range clauses {
			if clause := &clauses[i]; isPeer(&clause.Box, peer) {
				ports = ports.Union(clause.Box.Ports).Union(resolve(clause.Named, destination))
			}
		}
	}
	return ports
}

// isPeer says whether a pod may be the other end of connections in a box.
func isPeer(box *connset.Box, pod *knownPod) bool {
	kind := connset.Pods
	if pod.Spec.HostNetwork {
		kind = connset.Others
	}
	if box.Kinds&kind == 0 {
		return false
	}
	if kind == connset.Pods && (!box.Match(connset.Namespace, pod.in.labels) || !box.Match(connset.Peer, pod.Labels)) {
		return false
	}
	return len(pod.addresses) == 0 || slices.ContainsFunc(pod.addresses, box.Addresses.Contains)
}

// resolve looks named ports up at a destination.
func resolve(named []connset.NamedPort, destination *knownPod) connset.Ports {
	var ports connset.Ports
	for _, port := range named {
		for _, declared := range destination.ports {
			if declared.Name == port.Name && kube.Protocol(declared.Protocol) == port.Protocol {
				ports = ports.Union(connset.PortRange(port.Protocol, declared.ContainerPort, declared.ContainerPort))
			}
		}
	}
	return ports
}
