package webhooks

import (
	"sync/atomic"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/policy/lint/world"
)

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations;mutatingwebhookconfigurations,verbs=get;list;watch
// +kubebuilder:rbac:groups=apiregistration.k8s.io,resources=apiservices,verbs=get;list;watch

// calling are the kinds of objects that have the API server call a Service. CustomResourceDefinitions do too, and are
// left out: they are large, and few convert.
func calling() []client.Object {
	apiService := &unstructured.Unstructured{}
	apiService.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"})
	return []client.Object{&admissionv1.ValidatingWebhookConfiguration{}, &admissionv1.MutatingWebhookConfiguration{}, apiService}
}

// backends are the Services that the API server calls, as the cache shows them.
type backends struct {
	stores []toolscache.Store
	changes
}

// changes say whether something changed.
type changes struct{ changed atomic.Bool }

var _ toolscache.ResourceEventHandler = &changes{}

// OnAdd takes note of an object.
func (c *changes) OnAdd(any, bool) { c.changed.Store(true) }

// OnUpdate takes note of an object.
func (c *changes) OnUpdate(any, any) { c.changed.Store(true) }

// OnDelete takes note of an object.
func (c *changes) OnDelete(any) { c.changed.Store(true) }

// list returns them in no order.
func (b *backends) list() []world.Backend {
	var out []world.Backend
	for _, store := range b.stores {
		for _, object := range typed[runtime.Object](store.List()) {
			out = append(out, world.BackendsOf(object)...)
		}
	}
	return out
}
