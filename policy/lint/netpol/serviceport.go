package netpol

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// ServicePort reports where a rule has the port of a Service instead of the pods'.
var ServicePort = register(check.Check{
	ID: "service-port", Severity: check.Warn, About: check.OfBoth, Tiers: true,
	Title: "The port of a Service",
	Text: `Policies see the port that the pod listens on: the Service's port is translated first. Reported if a Service
forwards this port to another one, and no pod of the peer declares this one.`,
})

func init() { runs[ServicePort] = checkPorts }

// checkPorts finds ports that no destination has.
func checkPorts(r *check.Report, v *view) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		if !v.Policy.Isolates(direction) {
			continue
		}
		for i, rule := range kube.Rules(v.Policy.NetworkPolicy, direction) {
			checkNamesOfAddresses(r, v, direction, i, rule)
			destinations := v.destinations(direction, i)
			if len(destinations) == 0 {
				continue
			}
			for j, port := range rule.Ports {
				if !v.Work.Spend(1 + len(destinations)) {
					return
				}
				path := v.places.Port(direction, i, j)
				switch {
				case port.Port == nil:
				case port.Port.Type == intstr.String && v.MorePods: // others may have it
				case port.Port.Type == intstr.String:
					checkNamedPort(r, path, rule, j, destinations)
				case port.EndPort == nil && v.Known.Services:
					isForDNS := func(of *corev1.Service) bool {
						return direction == egress && !v.isTier() && port.Port.IntVal == 53 && v.IsDNS(of)
					}
					checkServicePort(r, path, rule, kube.Protocol(ptr.Deref(port.Protocol, "")), port.Port.IntVal, destinations, isForDNS)
				}
			}
		}
	}
}

// checkServicePort finds the port of a Service whose pods listen on another: policies see the pods' port, because the
// destination is translated first. Other checks handle some Services.
func checkServicePort(r *check.Report, path *field.Path, rule kube.Rule, protocol corev1.Protocol, number int32, destinations []*world.Pod,
	leftOut func(*corev1.Service) bool) {
	port := connset.PortOf(protocol, number)
	if slices.ContainsFunc(destinations, func(pod *world.Pod) bool { return listens(pod, port) }) {
		return
	}
	allowed, _ := connset.RulePorts(rule.Ports)
	for service, pods := range servicesOf(destinations) {
		if leftOut(service) {
			continue
		}
		for _, servicePort := range service.Spec.Ports {
			if servicePort.Port != number || kube.Protocol(servicePort.Protocol) != protocol {
				continue
			}
			target, found := targetOf(service, servicePort, pods)
			if !found || target == port || allowed.Contains(target) {
				continue
			}
			r.Find(ServicePort, path, fmt.Sprintf("write port: %d", target.Number()),
				"%d is the port of Service %s/%s; its pods listen on %d, which is what policies see",
				number, service.Namespace, service.Name, target.Number())
			return
		}
	}
}

// destinations are the pods that connections of a rule go to, if they are all known: other destinations' ports are not
// translated.
func (v *view) destinations(direction networkingv1.PolicyType, rule int) []*world.Pod {
	if direction == ingress {
		return v.Subjects()
	}
	var out []*world.Pod
	clauses := v.Policy.Clauses(direction) // in the order of their rules
	first, _ := slices.BinarySearchFunc(clauses, rule, func(c connset.Clause, rule int) int { return cmp.Compare(c.Rule, rule) })
	for _, clause := range clauses[first:] {
		if clause.Rule != rule {
			break
		}
		peer := world.PeerOf(direction, clause)
		if peer == nil || peer.IPBlock != nil {
			return nil
		}
		if _, known := v.candidates(peer, clause.Box); !known {
			return nil
		}
		out = append(out, v.PeersOf(direction, clause).Meant...)
	}
	return out
}

// servicesOf calls yield with each Service of the namespaces of pods, and those of the pods that are
// in its namespace.
func servicesOf(pods []*world.Pod) iter.Seq2[*corev1.Service, []*world.Pod] {
	in := map[*world.Namespace][]*world.Pod{}
	for _, pod := range pods {
		in[pod.In] = append(in[pod.In], pod)
	}
	return func(yield func(*corev1.Service, []*world.Pod) bool) {
		for _, of := range slices.SortedFunc(maps.Keys(in), func(a, b *world.Namespace) int { return cmp.Compare(a.Name, b.Name) }) {
			for _, service := range of.Services {
				if !yield(service, in[of]) {
					return
				}
			}
		}
	}
}

func listens(pod *world.Pod, port connset.Port) bool {
	return slices.ContainsFunc(pod.Ports, func(declared corev1.ContainerPort) bool {
		return connset.PortOf(declared.Protocol, declared.ContainerPort) == port
	})
}

// targetOf returns the port of some pods that a Service's port forwards to.
func targetOf(service *corev1.Service, port corev1.ServicePort, pods []*world.Pod) (connset.Port, bool) {
	for _, pod := range pods {
		if !kube.Selects(service, pod.Pod) {
			continue
		}
		for _, number := range kube.TargetPorts(service, port, []*corev1.Pod{pod.Pod}) {
			return connset.PortOf(port.Protocol, number), true
		}
	}
	return connset.Port{}, false
}
