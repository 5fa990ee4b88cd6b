package lint

import (
	"cmp"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// APIServerUnreachable is found where the API server cannot reach what it is to call.
const APIServerUnreachable ID = "apiserver-unreachable"

func init() {
	register(Check{
		ID: APIServerUnreachable, Severity: Warn, About: ofBoth,
		Title: "The API server does not reach what it calls",
		Text: `The API server calls webhooks from outside the pod network, on the port that the pods listen on. Where no policy
lets it in, whatever the webhook is about can no longer be applied (or is no longer checked, with failurePolicy: Ignore),
in the whole cluster. So it is with APIs of other servers (APIService), and with webhooks that convert resources; the last
are not known at admission. Name its addresses in an ipBlock; who cannot know them leaves ` + "`from`" + ` out for this port. Of an
AppTier, ` + "`kubeAPIServer: {}`" + ` is it. Control planes that come in through Konnectivity's agents are let in by them.`,
		Policy:  checkBackends,
		Tiers:   true,
		TierFix: "let the API server in with kubeAPIServer: {}, on this port",
	})
}

// Backend is a Service that the API server calls.
type Backend struct {
	// By names what has it called, as in "ValidatingWebhookConfiguration topology".
	By      string
	Service types.NamespacedName
	// Port is the Service's, from 1 to 65535.
	Port int32
}

// httpsPort is what is called where no port is said
// (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#service-reference).
const httpsPort = 443

// BackendsOf returns what an object has the API server call: webhooks of admission, those that convert custom
// resources, and APIs that another server has. Other objects have none.
func BackendsOf(object runtime.Object) []Backend {
	var out []Backend
	if o, ok := object.(*unstructured.Unstructured); ok {
		return backendsIn(o)
	}
	add := func(by string, config admissionv1.WebhookClientConfig) {
		if s := config.Service; s != nil {
			b := Backend{by, types.NamespacedName{Namespace: s.Namespace, Name: s.Name}, httpsPort}
			if s.Port != nil {
				b.Port = *s.Port
			}
			out = append(out, b)
		}
	}
	switch o := object.(type) {
	case *admissionv1.ValidatingWebhookConfiguration:
		for _, webhook := range o.Webhooks {
			add("ValidatingWebhookConfiguration "+o.Name, webhook.ClientConfig)
		}
	case *admissionv1.MutatingWebhookConfiguration:
		for _, webhook := range o.Webhooks {
			add("MutatingWebhookConfiguration "+o.Name, webhook.ClientConfig)
		}
	}
	return slices.Compact(out)
}

// backendsIn reads the kinds whose types are in libraries of their own.
func backendsIn(o *unstructured.Unstructured) []Backend {
	var path []string
	switch o.GroupVersionKind().GroupKind().String() {
	case "APIService.apiregistration.k8s.io":
		path = []string{"spec", "service"}
	case "CustomResourceDefinition.apiextensions.k8s.io":
		path = []string{"spec", "conversion", "webhook", "clientConfig", "service"}
	default:
		return nil
	}
	text := func(field string) string {
		value, _, _ := unstructured.NestedString(o.Object, append(slices.Clone(path), field)...)
		return value
	}
	if text("name") == "" {
		return nil
	}
	port, found, err := unstructured.NestedInt64(o.Object, append(slices.Clone(path), "port")...)
	if !found || err != nil {
		port = httpsPort
	}
	return []Backend{{o.GetKind() + " " + o.GetName(), types.NamespacedName{Namespace: text("namespace"), Name: text("name")}, int32(port)}}
}

// checkBackends finds pods that the API server is to call and cannot: it calls from outside the pod network,
// and what it calls is a webhook that then refuses or lets pass whatever is applied, or an API that is gone.
func checkBackends(r *report, v *view) {
	if !v.known.Policies || !v.known.Services || !v.policy.isolates(ingress) {
		return
	}
	for _, backend := range v.backends[v.policy.Namespace] {
		for _, service := range v.here.services {
			if service.Name != backend.Service.Name || len(service.Spec.Selector) == 0 {
				continue
			}
			for _, pod := range v.subjects() {
				if kube.Selects(service, pod.Pod) && checkReachedByServer(r, v, backend, service, pod) {
					break // one example is enough
				}
			}
		}
	}
}

func checkReachedByServer(r *report, v *view, backend Backend, service *corev1.Service, pod *knownPod) bool {
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == backend.Port })
	if i < 0 {
		return false
	}
	port, found := targetOf(service, service.Spec.Ports[i], []*knownPod{pod})
	if !found || v.openOutside(pod, isForTunnel).Contains(port) {
		return false
	}
	r.find(APIServerUnreachable, v.places.rules(ingress), fmt.Sprintf("add an ingress rule with an ipBlock for the API server's addresses, or without from, on %s", portWords(port)),
		"no policy lets anyone from outside the pod network reach %s on %s, where the API server calls Service %s for %s", podWords(pod), portWords(port), service.Name, backend.By)
	return true
}

// openOutside are the ports of a pod that some policy opens to whom the pod network does not hold, that is to
// addresses or to everyone; or to what is taken for such.
func (v *view) openOutside(pod *knownPod, taken ...func(connset.Box) bool) connset.Ports {
	policies, _ := v.union(pod, ingress)
	var open connset.Ports
	for _, clause := range clausesOf(policies, ingress) {
		isTaken := func(is func(connset.Box) bool) bool { return is(clause.Box) }
		if clause.Box.Kinds&connset.Others != 0 || slices.ContainsFunc(taken, isTaken) {
			open = open.Union(clause.Box.Ports).Union(resolve(clause.Named, pod))
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

// backendsByNamespace are the backends of a world, by the namespace of their Service.
func backendsByNamespace(backends []Backend) map[string][]Backend {
	out := map[string][]Backend{}
	for _, backend := range backends {
		out[backend.Service.Namespace] = append(out[backend.Service.Namespace], backend)
	}
	for namespace, of := range out {
		slices.SortFunc(of, func(a, b Backend) int {
			return cmp.Or(cmp.Compare(a.Service.Name, b.Service.Name), cmp.Compare(a.Port, b.Port), cmp.Compare(a.By, b.By))
		})
		out[namespace] = slices.Compact(of)
	}
	return out
}
