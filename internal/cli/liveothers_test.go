package cli_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// otherKinds are a kind of policy that this cluster has, and who may list all but that.
const otherKinds = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: adminnetworkpolicies.policy.networking.k8s.io
  annotations: {api-approved.kubernetes.io: "unapproved, a test"}
spec:
  group: policy.networking.k8s.io
  scope: Cluster
  names: {kind: AdminNetworkPolicy, plural: adminnetworkpolicies, singular: adminnetworkpolicy, listKind: AdminNetworkPolicyList}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: limited}
rules:
- {apiGroups: [""], resources: [namespaces, pods, services, nodes], verbs: [get, list]}
- {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [list]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list]}
- {apiGroups: [policy.apptier.dev], resources: [apptiers], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: limited}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: limited}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: limited}]
`

// silentAPI is of another server, which is not there.
const silentAPI = `
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.k8s.ovn.org}
spec: {group: k8s.ovn.org, version: v1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service: {namespace: shop, name: none}}
`

const adminPolicy = `
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: quarantine}
spec:
  priority: 10
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  ingress: [{name: all, action: Deny, from: [{namespaces: {}}]}]
`

func (c realCluster) apply(manifests string) {
	for text := range strings.SplitSeq(manifests, "---\n") {
		var o unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
			c.Fatal(err)
		}
		c.create(&o)
	}
}

func (c realCluster) remove(manifest string) {
	var o unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
		c.Fatal(err)
	}
	if err := c.Delete(c.Context(), &o); err != nil {
		c.Fatal(err)
	}
}

// Policies of other kinds could decide otherwise than NetworkPolicies: whether they do is not known, neither where they
// are nor where they may not be listed.
func TestOtherPoliciesOfACluster(t *testing.T) {
	c := startCluster(t, "explain.yaml")
	c.manage()
	allowed := questions[0]
	for _, q := range questions {
		if q.code == 0 {
			allowed = q
		}
	}
	ask := func(verb string, more ...string) (stdout, stderr string, code int) {
		return run(t, "", append(strings.Fields(verb+" "+allowed.ends), more...)...)
	}
	if stdout, stderr, code := ask("can"); code != 0 {
		t.Fatalf("%s exits with %d: %s%s", allowed.name, code, stdout, stderr)
	}
	c.apply(otherKinds)
	c.await(func() bool {
		stdout, _, code := ask("explain", "--as=limited")
		return code == 3 && strings.Contains(stdout, "AdminNetworkPolicy of policy.networking.k8s.io, which you may not list (the cluster) could decide otherwise")
	})
	c.apply(silentAPI)
	c.await(func() bool {
		stdout, _, code := ask("explain")
		return code == 3 && strings.Contains(stdout, "EgressFirewall of k8s.ovn.org, whose API does not answer (the cluster) could decide otherwise")
	})
	c.remove(silentAPI)
	c.await(func() bool { _, _, code := ask("can"); return code == 0 })
	if stdout, stderr, code := ask("can"); code != 0 {
		t.Errorf("there is none of the kind: exits with %d: %s%s", code, stdout, stderr)
	}
	c.apply(adminPolicy)
	if stdout, stderr, code := ask("explain"); code != 3 || !strings.Contains(stdout, "AdminNetworkPolicy quarantine (the cluster) could decide otherwise") {
		t.Errorf("exits with %d: %s%s", code, stdout, stderr)
	}
	if stdout, _, _ := run(t, "", "lint", "--cluster", "-A"); !strings.Contains(stdout, "AdminNetworkPolicy is not judged here") {
		t.Errorf("lint does not say what it did not judge: %s", stdout)
	}
}

// await waits until something holds.
func (c realCluster) await(holds func() bool) {
	c.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			c.Fatal("it does not come about")
		}
		<-time.After(50 * time.Millisecond)
	}
}
