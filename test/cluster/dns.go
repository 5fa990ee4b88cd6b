package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/test/cluster/build"
)

// fieldManager owns what Apply applies.
const fieldManager = "apptier-test-cluster"

func (c *Cluster) applyDNS(ctx context.Context) error {
	var manifests bytes.Buffer
	values := struct {
		ClusterDNS []string
		Image      string
	}{c.state.Shape.plan().dnsServices(), build.DNSImage}
	if err := nodeFiles.ExecuteTemplate(&manifests, "dns.yaml.tmpl", values); err != nil {
		return err
	}
	if err := c.Apply(ctx, manifests.Bytes()); err != nil {
		return fmt.Errorf("set up the cluster's DNS: %w", err)
	}
	return nil
}

// addServiceAccount adds the account that pods of the default namespace get. The controller would do it
// a few seconds later, and until then every pod is refused.
func (c *Cluster) addServiceAccount(ctx context.Context) error {
	return c.Apply(ctx, []byte("{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: default}}"))
}

// Apply applies YAML documents in their order, as "kubectl apply --server-side --force-conflicts" does.
func (c *Cluster) Apply(ctx context.Context, manifests []byte) error {
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
