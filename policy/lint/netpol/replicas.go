package netpol

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach"
)

// ReplicasIsolated reports where the pods of a StatefulSet cannot reach one another.
var ReplicasIsolated = register(check.Check{
	ID: "replicas-isolated", Severity: check.Warn, About: check.OfBoth, Tiers: true,
	Title: "Replicas that cannot reach one another",
	Text: `Most databases, queues and caches that run as several pods connect to each other, and a policy that names only
their clients denies this. Reported if the pods of a StatefulSet with several replicas and a headless Service cannot
reach one another on any port that they declare, while another peer may reach them. Pods whose ports are all named like
ports of web servers and scrapers (http, grpc, web, metrics) are not reported, unless their command, arguments or
environment name one of them.`,
})

func init() { runs[ReplicasIsolated] = checkReplicas }

// checkReplicas finds StatefulSets whose pods cannot reach one another on any port that they declare. Clusters of
// databases, queues and caches need this, and policies that name their clients forget it. Other replicas do not connect
// to each other. So a finding needs a StatefulSet of several pods, a headless Service, by which they find each other, a
// policy that allows another peer, and a sign that they connect: a port that is not for clients, or their own names in
// their command, arguments or environment. Admission does not keep these, so there only ports are a sign.
// docs/design/2026-11-30-replicas-by-signs.md has the evidence from public charts.
func checkReplicas(r *check.Report, v *view) {
	if !v.Known.Policies || !v.Known.Services || len(v.Policy.Spec.Ingress) == 0 || !v.Policy.Isolates(ingress) {
		return
	}
	seen := map[string]bool{}
	for _, pod := range v.Subjects() {
		name := setOf(pod)
		if name == "" || seen[name] || !v.Work.Spend(1) {
			continue
		}
		seen[name] = true
		i := slices.IndexFunc(v.Subjects(), func(other *world.Pod) bool { return other != pod && setOf(other) == name })
		service := headlessOf(v.Here, pod)
		if i < 0 || service == nil || servesClientsAlone(pod) && !isToldOf(pod, service.Name, name) || !v.isFirst(pod) {
			continue
		}
		if ports := v.closedBetween(pod, v.Subjects()[i]); len(ports) > 0 {
			r.Find(ReplicasIsolated, v.places.Rules(ingress),
				"allow its pods the ports that they use among themselves, or ignore this if they do not connect to each other",
				"the pods of StatefulSet %s, such as %s, cannot reach one another on any of their ports (%s)", name, words.Pod(pod), words.List(ports))
		}
	}
}

// setOf is the name of the StatefulSet that a pod is of; empty if of none. Its pods bear their names,
// which are the set's and a number.
func setOf(pod *world.Pod) string {
	name := pod.Labels[appsv1.StatefulSetPodNameLabel]
	i := strings.LastIndex(name, "-")
	if i < 0 {
		return ""
	}
	return name[:i]
}

// headlessOf is a headless Service that gives a pod a name; nil if none does.
func headlessOf(in *world.Namespace, pod *world.Pod) *corev1.Service {
	i := slices.IndexFunc(in.Services, func(service *corev1.Service) bool {
		return service.Spec.ClusterIP == corev1.ClusterIPNone && kube.Selects(service, pod.Pod)
	})
	if i < 0 {
		return nil
	}
	return in.Services[i]
}

// servesClientsAlone says whether all ports of a pod have names of ports for clients and scrapers, as those of web
// servers, stores and collectors. A port without a name may be any.
func servesClientsAlone(pod *world.Pod) bool {
	return !slices.ContainsFunc(pod.Ports, func(port corev1.ContainerPort) bool { return !clientPort.MatchString(port.Name) })
}

// clientPort matches http, https-web, reloader-web, grpc, http-metrics. What joins more to them is not
// one: http-memberlist, https-internal, raft-grpc.
var clientPort = regexp.MustCompile(`^((https?|grpc|web|metrics|reloader)-)?(https?|grpc|web|metrics|monitoring)$`)

// isToldOf says whether the command, the arguments or the environment of a pod's containers name its headless Service or
// the first pod of its set, as a program does that joins others or advertises its name.
func isToldOf(pod *world.Pod, service, set string) bool {
	isNamed := regexp.MustCompile(`(^|[^a-z0-9-])(` + regexp.QuoteMeta(set) + `-0|` + regexp.QuoteMeta(service) + `[.:])`).MatchString
	return slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers), func(container corev1.Container) bool {
		return slices.ContainsFunc(container.Command, isNamed) || slices.ContainsFunc(container.Args, isNamed) ||
			slices.ContainsFunc(container.Env, func(variable corev1.EnvVar) bool { return isNamed(variable.Value) })
	})
}

// isFirst says whether the judged policy is the first, by name, that lets anybody reach a pod: one of them
// is enough to tell.
func (v *view) isFirst(pod *world.Pod) bool {
	return !slices.ContainsFunc(v.PoliciesOf(pod), func(p *world.Policy) bool {
		return p.Isolates(ingress) && len(p.Spec.Ingress) > 0 && p.Name < v.Policy.Name
	})
}

// closedBetween are the ports of a pod if another cannot reach it on any of them; none if it can reach one, or may.
func (v *view) closedBetween(pod, other *world.Pod) []string {
	snapshot := reach.Snapshot{
		Pods:       []*corev1.Pod{pod.Pod, other.Pod},
		Namespaces: []*corev1.Namespace{{}},
		Policies:   []*networkingv1.NetworkPolicy{v.Policy.NetworkPolicy},
	}
	snapshot.Namespaces[0].Name, snapshot.Namespaces[0].Labels = v.Here.Name, v.Here.Labels
	for _, policy := range v.Others() {
		if !v.Work.Spend(1 + rulesIn([]*world.Policy{policy}, ingress) + rulesIn([]*world.Policy{policy}, egress)) {
			return nil
		}
		snapshot.Policies = append(snapshot.Policies, policy.NetworkPolicy)
	}
	evaluator := reach.New(snapshot)
	end := func(p *world.Pod) reach.Endpoint {
		return reach.Endpoint{Pod: types.NamespacedName{Namespace: p.Namespace, Name: p.Name}}
	}
	var closed []string
	for _, port := range pod.Ports {
		flow := reach.Flow{Source: end(other), Destination: end(pod), Protocol: kube.Protocol(port.Protocol), Port: port.ContainerPort}
		if evaluator.Allowed(flow).Verdict != reach.Deny {
			return nil
		}
		closed = append(closed, fmt.Sprintf("%s %d", flow.Protocol, flow.Port))
	}
	return closed
}
