package certs

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Place is an object in which authorities are announced. It must exist.
type Place struct {
	key   types.NamespacedName
	empty func() client.Object
	// bundles are those that the object has now.
	bundles func(client.Object) [][]byte
	// write is what to change so that the object has a bundle.
	write func(object client.Object, bundle []byte) []operation
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=apptier-validating-webhook-configuration,verbs=get;list;watch;patch

// WebhookConfiguration is a ValidatingWebhookConfiguration: the API server calls the webhook by it.
func WebhookConfiguration(name string) Place {
	return Place{
		key:   types.NamespacedName{Name: name},
		empty: func() client.Object { return &admissionv1.ValidatingWebhookConfiguration{} },
		bundles: func(o client.Object) (bundles [][]byte) {
			for _, webhook := range o.(*admissionv1.ValidatingWebhookConfiguration).Webhooks {
				bundles = append(bundles, webhook.ClientConfig.CABundle)
			}
			return bundles
		},
		write: func(o client.Object, bundle []byte) (operations []operation) {
			for i := range o.(*admissionv1.ValidatingWebhookConfiguration).Webhooks {
				operations = append(operations, operation{"add", "/webhooks/" + strconv.Itoa(i) + "/clientConfig/caBundle", bundle})
			}
			return operations
		},
	}
}

// +kubebuilder:rbac:groups=apiregistration.k8s.io,resources=apiservices,resourceNames=v1alpha1.connections.apptier.dev,verbs=get;list;watch;patch

// APIService is one by which the API server passes on requests.
func APIService(name string) Place {
	return Place{
		key: types.NamespacedName{Name: name},
		empty: func() client.Object {
			o := &unstructured.Unstructured{}
			o.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"})
			return o
		},
		bundles: func(o client.Object) [][]byte {
			text, _, _ := unstructured.NestedString(o.(*unstructured.Unstructured).Object, "spec", "caBundle")
			bundle, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return [][]byte{nil}
			}
			return [][]byte{bundle}
		},
		write: func(_ client.Object, bundle []byte) []operation {
			return []operation{{"add", "/spec/caBundle", bundle}}
		},
	}
}

// ConfigMap is one whose "ca.crt" is mounted where servers know the manager by it.
func ConfigMap(key types.NamespacedName) Place {
	return Place{
		key:   key,
		empty: func() client.Object { return &corev1.ConfigMap{} },
		bundles: func(o client.Object) [][]byte {
			return [][]byte{[]byte(o.(*corev1.ConfigMap).Data[authoritiesKey])}
		},
		write: func(_ client.Object, bundle []byte) []operation {
			return []operation{{"add", "/data", map[string]string{authoritiesKey: string(bundle)}}}
		},
	}
}

// announcement is a JSON patch, so that no field is lost that this program does not know. The API server
// refuses it as a conflict if the object is not at this resource version any more.
func (p Place) announcement(object client.Object, bundle []byte) ([]byte, error) {
	operations := []operation{{"replace", "/metadata/resourceVersion", object.GetResourceVersion()}}
	patch, err := json.Marshal(append(operations, p.write(object, bundle)...))
	if err != nil {
		return nil, fmt.Errorf("announcing authorities: %w", err)
	}
	return patch, nil
}
