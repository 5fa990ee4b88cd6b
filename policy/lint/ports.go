package lint

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

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// ServicePort is found where the port of a Service stands where the pod's is meant.
const ServicePort ID = "service-port"

func init() {
	register(Check{
		ID: ServicePort, Severity: Warn, About: ofBoth,
		Title: "The port of a Service",
		Text: `Policies see the port that the pod listens on: the Service's port is translated before. Reported when a Service
leads from this port to another one, and no pod that is meant declares this one.`,
		Policy: checkPorts,
		Tiers:  true,
	})
}

// NamedPortUnresolved is found where no destination has a port of this name.
const NamedPortUnresolved ID = "named-port-unresolved"

func init() {
	register(Check{
		ID: NamedPortUnresolved, Severity: Warn, About: ofPolicies,
		Title: "A port name that no pod has",
		Text: `A port's name is looked up at the pod that a connection goes to. Where no container declares it, for this
protocol, the rule allows nothing. Nor does it towards addresses, which have no port names.`,
	})
}

// checkPorts finds ports that no destination has.
func checkPorts(r *report, v *view) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		if !v.policy.isolates(direction) {
			continue
		}
		for i, rule := range kube.Rules(v.policy.NetworkPolicy, direction) {
			checkNamesOfAddresses(r, v, direction, i, rule)
			destinations := v.destinations(direction, i)
			if len(destinations) == 0 {
				continue
			}
			for j, port := range rule.Ports {
				if !v.work.spend(1 + len(destinations)) {
					return
				}
				path := v.places.port(direction, i, j)
				switch {
				case port.Port == nil:
				case port.Port.Type == intstr.String && v.morePods: // others may have it
				case port.Port.Type == intstr.String:
					checkNamedPort(r, path, rule, j, destinations)
				case port.EndPort == nil && v.known.Services:
					isForDNS := func(of *corev1.Service) bool {
						return direction == egress && !v.isTier() && port.Port.IntVal == 53 && v.isDNS(of)
					}
					checkServicePort(r, path, rule, kube.Protocol(deref(port.Protocol)), port.Port.IntVal, destinations, isForDNS)
				}
			}
		}
	}
}

// checkNamesOfAddresses finds ports that have names in rules for addresses alone: a name is looked up at a pod,
// and what is outside has none.
func checkNamesOfAddresses(r *report, v *view, direction networkingv1.PolicyType, index int, rule kube.Rule) {
	isPods := func(peer networkingv1.NetworkPolicyPeer) bool { return peer.IPBlock == nil }
	if direction == ingress || len(rule.Peers) == 0 || slices.ContainsFunc(rule.Peers, isPods) {
		return
	}
	for j, port := range rule.Ports {
		if port.Port != nil && port.Port.Type == intstr.String {
			r.find(NamedPortUnresolved, v.places.port(direction, index, j), "write the number",
				"an address has no port names: only pods do, so port %s allows nothing here", port.Port.StrVal)
		}
	}
}

func deref(protocol *corev1.Protocol) corev1.Protocol {
	if protocol == nil {
		return ""
	}
	return *protocol
}

// destinations are the pods that connections of a rule go to, if they are all known: ports of
// anything else are as they are.
func (v *view) destinations(direction networkingv1.PolicyType, rule int) []*knownPod {
	if direction == ingress {
		return v.subjects()
	}
	var out []*knownPod
	clauses := v.policy.clauses(direction) // in the order of their rules
	first, _ := slices.BinarySearchFunc(clauses, rule, func(c connset.Clause, rule int) int { return cmp.Compare(c.Rule, rule) })
	for _, clause := range clauses[first:] {
		if clause.Rule != rule {
			break
		}
		peer := peerOf(direction, clause)
		if peer == nil || peer.IPBlock != nil {
			return nil
		}
		if _, known := v.candidates(peer, clause.Box); !known {
			return nil
		}
		out = append(out, v.peersOf(direction, clause).meant...)
	}
	return out
}

// checkNamedPort finds names that no destination declares.
func checkNamedPort(r *report, path *field.Path, rule kube.Rule, index int, destinations []*knownPod) {
	_, named := connset.RulePorts(rule.Ports[index : index+1])
	var names []string
	seen := map[string]bool{}
	for _, pod := range destinations {
		if !resolve(named, pod).IsEmpty() {
			return
		}
		for _, port := range pod.ports {
			if port.Name != "" && !seen[port.Name] {
				seen[port.Name] = true
				names = append(names, port.Name)
			}
		}
	}
	name := rule.Ports[index].Port.StrVal
	fix := "write the number that the pods listen on, or name a port of their containers"
	if near := nearest(name, names); near != "" && near != name {
		fix = "did you mean " + near + "?"
	}
	r.find(NamedPortUnresolved, path, fix, "no container of the pods, such as %s, has a port named %s for %s, so this allows nothing",
		podWords(destinations[0]), name, named[0].Protocol)
}

// checkServicePort finds the port of a Service where its pods listen on another: policies see the
// pod's, since the destination is translated first. Some Services are left to another check.
func checkServicePort(r *report, path *field.Path, rule kube.Rule, protocol corev1.Protocol, number int32, destinations []*knownPod, leftOut func(*corev1.Service) bool) {
	port := connset.PortOf(protocol, number)
	if slices.ContainsFunc(destinations, func(pod *knownPod) bool { return listens(pod, port) }) {
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
			r.find(ServicePort, path, fmt.Sprintf("write port: %d", target.Number()),
				"%d is the port of Service %s/%s; its pods listen on %d, which is what policies see", number, service.Namespace, service.Name, target.Number())
			return
		}
	}
}

// servicesOf calls yield with each Service of the namespaces of pods, and those of the pods that are
// in its namespace.
func servicesOf(pods []*knownPod) iter.Seq2[*corev1.Service, []*knownPod] {
	in := map[*contents][]*knownPod{}
	for _, pod := range pods {
		in[pod.in] = append(in[pod.in], pod)
	}
	return func(yield func(*corev1.Service, []*knownPod) bool) {
		for _, of := range slices.SortedFunc(maps.Keys(in), compareContents) {
			for _, service := range of.services {
				if !yield(service, in[of]) {
					return
				}
			}
		}
	}
}

func listens(pod *knownPod, port connset.Port) bool {
	return slices.ContainsFunc(pod.ports, func(declared corev1.ContainerPort) bool {
		return connset.PortOf(declared.Protocol, declared.ContainerPort) == port
	})
}

// targetOf returns where a port of a Service leads among some pods.
func targetOf(service *corev1.Service, port corev1.ServicePort, pods []*knownPod) (connset.Port, bool) {
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
