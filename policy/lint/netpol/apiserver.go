package netpol

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// APIServerUnreachable reports where the API server cannot reach what it is to call.
var APIServerUnreachable = register(check.Check{
	ID: "apiserver-unreachable", Severity: check.Warn, About: check.OfBoth, Tiers: true,
	Title: "The API server cannot reach a webhook or an API",
	Text: `The API server calls webhooks from outside the pod network, on the port that the pods listen on. If no policy
allows this, objects that the webhook handles can no longer be applied (or are no longer checked, with failurePolicy: Ignore),
in the whole cluster. This also holds for aggregated APIs (APIService), and for conversion webhooks, which are not known
at admission. Name the API server's addresses in an ipBlock; if you do not know them, leave ` + "`from`" + ` out for this port. In an
AppTier, write ` + "`kubeAPIServer: {}`" + `. If the control plane connects through Konnectivity, allowing its agents is enough.`,
	TierFix: "allow the API server with kubeAPIServer: {}, on this port",
})

func init() { runs[APIServerUnreachable] = checkBackends }

// checkBackends finds pods that the API server calls but cannot reach: it calls from outside the pod network. A webhook
// then refuses or lets pass every object, and an aggregated API is unavailable.
func checkBackends(r *check.Report, v *view) {
	if !v.Known.Policies || !v.Known.Services || !v.Policy.Isolates(ingress) {
		return
	}
	for _, backend := range v.Backends[v.Policy.Namespace] {
		for _, service := range v.Here.Services {
			if service.Name != backend.Service.Name || len(service.Spec.Selector) == 0 {
				continue
			}
			for _, pod := range v.Subjects() {
				if kube.Selects(service, pod.Pod) && checkReachedByServer(r, v, backend, service, pod) {
					break // one example is enough
				}
			}
		}
	}
}

func checkReachedByServer(r *check.Report, v *view, backend world.Backend, service *corev1.Service, pod *world.Pod) bool {
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == backend.Port })
	if i < 0 {
		return false
	}
	port, found := targetOf(service, service.Spec.Ports[i], []*world.Pod{pod})
	if !found || v.openOutside(pod, isForTunnel).Contains(port) {
		return false
	}
	r.Find(APIServerUnreachable, v.places.Rules(ingress),
		fmt.Sprintf("add an ingress rule with an ipBlock for the API server's addresses, or without from, on %s", words.Port(port)),
		"no policy allows connections from outside the pod network to %s on %s, where the API server calls Service %s for %s",
		words.Pod(pod), words.Port(port), service.Name, backend.By)
	return true
}

// openOutside are the ports of a pod that some policy opens to ends outside the pod network, that is to addresses or to
// everyone; or to a box for which any of taken holds.
func (v *view) openOutside(pod *world.Pod, taken ...func(connset.Box) bool) connset.Ports {
	policies, _ := v.Union(pod, ingress)
	var open connset.Ports
	for _, clause := range world.ClausesOf(policies, ingress) {
		isTaken := func(is func(connset.Box) bool) bool { return is(clause.Box) }
		if clause.Box.Kinds&connset.Others != 0 || slices.ContainsFunc(taken, isTaken) {
			open = open.Union(clause.Box.Ports).Union(world.Resolve(clause.Named, pod))
		}
	}
	return open
}

// isForTunnel says whether a box allows the agents of Konnectivity. The API server connects through them if the control
// plane is in another network
// (https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/).
func isForTunnel(box connset.Box) bool {
	return box.Kinds&connset.Pods != 0 && box.Match(connset.Namespace, map[string]string{corev1.LabelMetadataName: "kube-system"}) &&
		box.Match(connset.Peer, map[string]string{"k8s-app": "konnectivity-agent"})
}
