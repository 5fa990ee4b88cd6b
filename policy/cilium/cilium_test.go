package cilium_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/cilium"
)

func TestRead(t *testing.T) {
	const web = "endpointSelector: {matchLabels: {app: web}}\n"
	for _, test := range []struct{ name, spec, want, problem string }{
		{"endpoints and ports",
			web + `ingress: [{fromEndpoints: [{matchLabels: {"k8s:app": api}}], toPorts: [{ports: [{port: "80", protocol: TCP}]}]}]`,
			"podSelector: {matchLabels: {app: web}}\npolicyTypes: [Ingress]\ningress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 80, protocol: TCP}]}]", ""},
		{"namespaces",
			web + `egress: [{toEndpoints: [{matchLabels: {"k8s:io.kubernetes.pod.namespace": kube-system, k8s-app: kube-dns}}], toPorts: [{ports: [{port: "53"}]}]}]`,
			`podSelector: {matchLabels: {app: web}}
policyTypes: [Egress]
egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}],
  ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}, {port: 53, protocol: SCTP}]}]`, ""},
		{"labels of namespaces", web + `ingress: [{fromEndpoints: [{matchLabels: {"k8s:io.cilium.k8s.namespace.labels.team": a}}]}]`,
			"podSelector: {matchLabels: {app: web}}\npolicyTypes: [Ingress]\ningress: [{from: [{podSelector: {}, namespaceSelector: {matchLabels: {team: a}}}]}]", ""},
		{"an empty rule isolates and allows nobody", web + "ingress: [{}]\negress: [{toEndpoints: []}]",
			"podSelector: {matchLabels: {app: web}}\npolicyTypes: [Ingress, Egress]", ""},
		{"an empty selector is every pod of the namespace", "endpointSelector: {}\ningress: [{fromEndpoints: [{}]}]",
			"podSelector: {}\npolicyTypes: [Ingress]\ningress: [{from: [{podSelector: {}}]}]", ""},
		{"ports alone are for everyone", web + `ingress: [{toPorts: [{ports: [{port: "80", endPort: 90, protocol: UDP}]}]}]`,
			"podSelector: {matchLabels: {app: web}}\npolicyTypes: [Ingress]\ningress: [{ports: [{port: 80, endPort: 90, protocol: UDP}]}]", ""},
		{"ranges", web + `egress: [{toCIDR: [192.0.2.0/24]}, {toCIDRSet: [{cidr: 0.0.0.0/0, except: [10.0.0.0/8]}]}, {toEntities: [all]}]`,
			`podSelector: {matchLabels: {app: web}}
policyTypes: [Egress]
egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}, {to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}, {}]`, ""},
		{"a label that only looks like a source", "endpointSelector: {matchLabels: {k8s.io/part: web}}\ningress: [{}]",
			"podSelector: {matchLabels: {k8s.io/part: web}}\npolicyTypes: [Ingress]", ""},

		{"names of hosts", web + "egress: [{toFQDNs: [{matchName: example.com}]}]", "", "spec.egress[0].toFQDNs"},
		{"rules of protocols",
			web + `ingress: [{toPorts: [{ports: [{port: "80"}], rules: {http: [{}]}}]}]`, "", "spec.ingress[0].toPorts[0].rules"},
		{"entities", web + "ingress: [{fromEntities: [world]}]", "", "spec.ingress[0].fromEntities[0]: NetworkPolicies know no entity world"},
		{"denials", web + "ingressDeny: [{fromEntities: [all]}]", "", "spec.ingressDeny"},
		{"default denial", web + "enableDefaultDeny: {ingress: false}\ningress: [{}]", "", "spec.enableDefaultDeny"},
		{"several kinds of peers",
			web + "ingress: [{fromEndpoints: [{}], fromCIDR: [10.0.0.0/8]}]", "", "spec.ingress[0].fromCIDR: it is beside fromEndpoints"},
		{"nodes", "nodeSelector: {}\ningress: [{}]", "", "spec.nodeSelector"},
		{"no rules", web + "ingress: []", "", "isolates nobody"},
		{"groups of ranges", web + "ingress: [{fromCIDRSet: [{cidrGroupRef: partners}]}]", "", "fromCIDRSet[0].cidrGroupRef"},
		{"other labels", "endpointSelector: {matchLabels: {'reserved:host': ''}}\ningress: [{}]", "", "spec.endpointSelector.matchLabels"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := &unstructured.Unstructured{}
			text := "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {namespace: shop, name: p}\nspec:\n  " + strings.ReplaceAll(test.spec, "\n", "\n  ")
			if err := yaml.Unmarshal([]byte(text), o); err != nil {
				t.Fatal(err)
			}
			if !cilium.Is(o) {
				t.Error("it is no policy of Cilium")
			}
			got, err := cilium.Read(o)
			wantSpec(t, got, err, test.want, test.problem)
		})
	}
}

// wantSpec holds what was read to a spec, or to a part of what is wrong.
func wantSpec(t *testing.T, got []*networkingv1.NetworkPolicy, err error, want, problem string) {
	t.Helper()
	if problem != "" {
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("is read as %v, %v; want a problem with %s", got, err, problem)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var specs []networkingv1.NetworkPolicySpec
	for text := range strings.SplitSeq(want, "\n---\n") {
		var spec networkingv1.NetworkPolicySpec
		if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
			t.Fatal(err)
		}
		specs = append(specs, spec)
	}
	var read []networkingv1.NetworkPolicySpec
	for _, policy := range got {
		read = append(read, policy.Spec)
	}
	if diff := cmp.Diff(specs, read, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
