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

// APIServerUnreachable is found where the API server cannot reach what it is to call.
var APIServerUnreachable = register(check.Check{
	ID: "apiserver-unreachable", Severity: check.Warn, About: check.OfBoth, Tiers: true,
	Title: "The API server does not reach what it calls",
	Text: `The API server calls webhooks from outside the pod network, on the port that the pods listen on. Where no policy
lets it in, whatever the webhook is about can no longer be applied (or is no longer checked, with failurePolicy: Ignore),
in the whole cluster. So it is with APIs of other servers (APIService), and with webhooks that convert resources; the last
are not known at admission. Name its addresses in an ipBlock; who cannot know them leaves ` + "`from`" + ` out for this port. Of an
AppTier, ` + "`kubeAPIServer: {}`" + ` is it. Control planes that come in through Konnectivity's agents are let in by them.`,
	TierFix: "let the API server in with kubeAPIServer: {}, on this port",
})

func init() { runs[APIServerUnreachable] = checkBackends }

// checkBackends finds pods that the API server is to call and cannot: it calls from outside the pod network,
// and what it calls is a webhook that then refuses or lets pass whatever is applied, or an API that is gone.
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
		"no policy lets anyone from outside the pod network reach %s on %s, where the API server calls Service %s for %s",
		words.Pod(pod), words.Port(port), service.Name, backend.By)
	return true
}

// openOutside are the ports of a pod that some policy opens to whom the pod network does not hold, that is to
// addresses or to everyone; or to what is taken for such.
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

// isForTunnel says whether a box lets in the agents of Konnectivity, from which the API server comes where
// the control plane is in another network
// (https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/).
func isForTunnel(box connset.Box) bool {
	return box.Kinds&connset.Pods != 0 && box.Match(connset.Namespace, map[string]string{corev1.LabelMetadataName: "kube-system"}) &&
		box.Match(connset.Peer, map[string]string{"k8s-app": "konnectivity-agent"})
}
