package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// API is any cluster, by its kubeconfig: what can be done with it that needs no access to its machines.
type API struct{ kubeconfig string }

// Existing is a cluster that somebody else has made.
func Existing(kubeconfig string) API { return API{kubeconfig} }

func apiIn(dir string) API { return API{filepath.Join(dir, "kubeconfig")} }

// Kubeconfig is a file that gives its reader every right, from anywhere on this machine.
func (c API) Kubeconfig() string { return c.kubeconfig }

// RESTConfig is the same for Go clients. Tests ask much at once, so it is not held back.
func (c API) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read the cluster's kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	return config, nil
}

func (c API) clientset() (*kubernetes.Clientset, error) {
	config, err := c.RESTConfig()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// Apply applies YAML documents in their order, as "kubectl apply --server-side --force-conflicts" does.
func (c API) Apply(ctx context.Context, manifests []byte) error {
	config, err := c.RESTConfig()
	if err != nil {
		return err
	}
	api, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the manifests: %w", err)
		}
		if len(object.Object) == 0 {
			continue // nothing between two separators
		}
		err = api.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(fieldManager), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}
