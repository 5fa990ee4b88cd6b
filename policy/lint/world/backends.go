package world

import (
	"cmp"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Backend is a Service that the API server calls.
type Backend struct {
	// By names the object that makes the API server call it, as in "ValidatingWebhookConfiguration topology".
	By      string
	Service types.NamespacedName
	// Port is the Service's, from 1 to 65535.
	Port int32
}

// httpsPort is the default port of a call
// (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#service-reference).
const httpsPort = 443

// BackendsOf returns the Services that the API server calls because of an object: for admission webhooks, conversion
// webhooks and aggregated APIs. Other objects have none.
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

// backendsIn reads the kinds whose types are in other libraries.
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
