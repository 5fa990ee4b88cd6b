package cluster

import (
	"bytes"
	"context"
	"fmt"

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
