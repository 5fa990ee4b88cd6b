package netpol

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// HealthCheckUnreachable reports where a load balancer cannot reach the pods behind it.
var HealthCheckUnreachable = register(check.Check{
	ID: "health-check-unreachable", Severity: check.Warn, About: check.OfBoth, Tiers: true,
	Title: "A load balancer that cannot reach its pods",
	Text: `A load balancer sends from outside the pod network, to the port that it forwards to and to the port that it
probes. If no policy allows this, it takes the pods out of service although they answer. The kubelet's own probes
always pass: a pod can always be reached from its own node. Services of type NodePort are not judged, because it is
not known whether anyone uses the port.`,
	TierFix: "allow the load balancer's ranges with networks, or everything outside with internet: {}, on these ports",
})

func init() { runs[HealthCheckUnreachable] = checkHealthChecks }

// healthCheckPortAnnotations name the port that a load balancer probes, as its controller documents.
var healthCheckPortAnnotations = []string{
	"service.beta.kubernetes.io/aws-load-balancer-healthcheck-port",
	"service.beta.kubernetes.io/do-loadbalancer-healthcheck-port",
	"service.beta.kubernetes.io/oci-load-balancer-health-check-port",
}

// checkHealthChecks finds pods behind a load balancer that no end outside the pod network may reach on the port that it
// forwards to, or probes: it takes them out of service although they answer. The kubelet's own probes always pass.
func checkHealthChecks(r *check.Report, v *view) {
	if !v.Known.Policies || !v.Known.Services || !v.Policy.Isolates(ingress) {
		return
	}
	for _, service := range v.Here.Services {
		if service.Spec.Type != corev1.ServiceTypeLoadBalancer || len(service.Spec.Selector) == 0 {
			continue
		}
		for _, pod := range v.Subjects() {
			if !v.Work.Spend(1) {
				return
			}
			if kube.Selects(service, pod.Pod) && checkReachedByBalancer(r, v, service, pod) {
				break // one example is enough
			}
		}
	}
}

func checkReachedByBalancer(r *check.Report, v *view, service *corev1.Service, pod *world.Pod) bool {
	v.Work.Spend(rulesIn(v.PoliciesOf(pod), ingress))
	closed := slices.DeleteFunc(balancedPorts(service, pod), v.openOutside(pod).Contains)
	if len(closed) == 0 {
		return false
	}
	r.Find(HealthCheckUnreachable, v.places.Rules(ingress),
		"add an ingress rule with an ipBlock for the load balancer's ranges, on "+words.Ports(closed),
		"no policy allows connections from outside the pod network to %s on %s, where the load balancer of Service %s sends traffic or probes",
		words.Pod(pod), words.Ports(closed), service.Name)
	return true
}

// balancedPorts are the ports of a pod that a load balancer sends to, and the port that it probes, if this is a port of
// the pod and not of the node.
func balancedPorts(service *corev1.Service, pod *world.Pod) []connset.Port {
	var out []connset.Port
	for _, port := range service.Spec.Ports {
		if target, found := targetOf(service, port, []*world.Pod{pod}); found {
			out = append(out, target)
		}
	}
	for _, annotation := range healthCheckPortAnnotations {
		number, err := strconv.ParseInt(strings.TrimSpace(service.Annotations[annotation]), 10, 32)
		if port := connset.PortOf(corev1.ProtocolTCP, int32(number)); err == nil && listens(pod, port) && !slices.Contains(out, port) {
			out = append(out, port)
		}
	}
	return out
}
