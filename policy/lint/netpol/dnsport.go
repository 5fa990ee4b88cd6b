package netpol

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// DNSPort reports where port 53 is allowed, and the DNS servers listen on another.
var DNSPort = register(check.Check{
	ID: "dns-port", Severity: check.Warn, About: check.OfPolicies,
	Title: "Port 53, but DNS listens on another port",
	Text: `Policies see the port that the pods of the cluster's DNS listen on, because the Service's port is translated first. Some
do not listen on 53: OpenShift's use 5353. Reported if such pods are known, by --dns-service or by their Service's label or
name, the policy allows 53 to them, and nothing allows the port that they listen on.`,
})

func init() { runs[DNSPort] = checkDNSPort }

// dnsListener is a port that a pod of the cluster's DNS listens on: policies see this port, not the Service's 53.
type dnsListener struct {
	service *corev1.Service
	pod     *world.Pod
	port    connset.Port
}

// checkDNSPort finds rules for port 53 that reach the pods of the cluster's DNS, which listen on another port,
// while nothing allows that one. It is enough to know one such pod.
func checkDNSPort(r *check.Report, v *view) {
	if !v.Policy.Isolates(egress) {
		return
	}
	allowed := v.perhapsUnion()
	for _, listener := range v.dnsListeners() {
		port53 := connset.PortOf(listener.port.Protocol(), 53)
		if slices.ContainsFunc(allowed, func(c connset.Clause) bool {
			return world.IsPeer(&c.Box, listener.pod) &&
				(c.Box.Ports.Contains(listener.port) || world.Resolve(c.Named, listener.pod).Contains(listener.port))
		}) {
			continue
		}
		for _, clause := range v.Policy.Clauses(egress) {
			if !world.IsPeer(&clause.Box, listener.pod) || !clause.Box.Ports.Contains(port53) {
				continue
			}
			r.Find(DNSPort, v.portPath(egress, clause.Rule, port53), fmt.Sprintf("add port: %d beside it", listener.port.Number()),
				"%s is the port of Service %s/%s; its pods, such as %s, listen on %d, which is what policies see, so names are not resolved",
				words.Port(port53), listener.service.Namespace, listener.service.Name, listener.pod.Name, listener.port.Number())
			return
		}
	}
}

// dnsListeners are the pods of the cluster's DNS, as far as they are known, that listen on another port than
// 53: UDP first, which nearly every question uses.
func (v *view) dnsListeners() []dnsListener {
	var out []dnsListener
	for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
		for _, service := range v.DNS {
			for _, port := range service.Spec.Ports {
				if port.Port != 53 || kube.Protocol(port.Protocol) != protocol {
					continue
				}
				for _, pod := range v.At(service.Namespace).Pods {
					target, found := targetOf(service, port, []*world.Pod{pod})
					if found && !pod.OnNode && target.Number() != 53 {
						out = append(out, dnsListener{service, pod, target})
						break
					}
				}
			}
		}
	}
	return out
}

// portPath is the path of the port of a rule that holds a number; of the rule if none is written.
func (v *view) portPath(direction networkingv1.PolicyType, rule int, port connset.Port) *field.Path {
	path := rulesPath(direction).Index(rule)
	for i, written := range kube.Rules(v.Policy.NetworkPolicy, direction)[rule].Ports {
		if ports, _ := connset.RulePorts([]networkingv1.NetworkPolicyPort{written}); written.Port != nil && written.Port.Type == intstr.Int &&
			ports.Contains(port) {
			return path.Child("ports").Index(i).Child("port")
		}
	}
	return path
}
