package calico_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/calico"
)

func objectOf(t *testing.T, kind, metadata, spec string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	text := "apiVersion: projectcalico.org/v3\nkind: " + kind + "\nmetadata: " + metadata + "\nspec:\n  " + strings.ReplaceAll(spec, "\n", "\n  ")
	if err := yaml.Unmarshal([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRead(t *testing.T) {
	const web = "selector: app == 'web'\n"
	for _, test := range []struct{ name, spec, want, problem string }{
		{"a value that no label has", "selector: role == 'back end'", "", "back end"},
		{"a peer and ports",
			web + "types: [Ingress]\ningress: [{action: Allow, protocol: TCP, source: {selector: \"role in {'front', 'back'} && !has(old)\"}, destination: {ports: [80, '90:99', http]}}]",
			`podSelector: {matchLabels: {app: web}}
policyTypes: [Ingress]
ingress: [{from: [{podSelector: {matchExpressions: [{key: role, operator: In, values: [front, back]}, {key: old, operator: DoesNotExist}]}}],
  ports: [{port: 80, protocol: TCP}, {port: 90, endPort: 99, protocol: TCP}, {port: http, protocol: TCP}]}]`, ""},
		{"either of two", "selector: a == 'x' || b != 'z'\ningress: [{action: Allow, source: {selector: \"a == 'x' || has(b)\"}}]",
			`podSelector: {matchLabels: {a: x}}
policyTypes: [Ingress]
ingress: [{from: [{podSelector: {matchLabels: {a: x}}}, {podSelector: {matchExpressions: [{key: b, operator: Exists}]}}]}]
---
podSelector: {matchExpressions: [{key: b, operator: NotIn, values: [z]}]}
policyTypes: [Ingress]
ingress: [{from: [{podSelector: {matchLabels: {a: x}}}, {podSelector: {matchExpressions: [{key: b, operator: Exists}]}}]}]`, ""},
		{"neither of two", "selector: '!(a == \"x\" || has(b))'",
			"podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [x]}, {key: b, operator: DoesNotExist}]}\npolicyTypes: [Ingress]", ""},
		{"namespaces",
			"selector: all()\negress: [{action: Allow, destination: {namespaceSelector: projectcalico.org/name == 'db'}}, {action: Allow, protocol: UDP, destination: {namespaceSelector: all(), selector: k8s-app == 'kube-dns', ports: [53]}}]",
			`podSelector: {}
policyTypes: [Egress]
egress:
- to: [{podSelector: {}, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: db}}}]
- to: [{podSelector: {matchLabels: {k8s-app: kube-dns}}, namespaceSelector: {}}]
  ports: [{port: 53, protocol: UDP}]`, ""},
		{"ranges", web + "egress: [{action: Allow, destination: {nets: [10.0.0.0/8, 192.0.2.7], notNets: [10.1.0.0/16, 192.0.2.0/24]}}]",
			"podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\negress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]", ""},
		{"nobody of a range",
			web + "egress: [{action: Allow, destination: {nets: [10.1.0.0/16], notNets: [10.0.0.0/8]}}]", "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]", ""},
		{"a denial for all", web + "types: [Ingress, Egress]", "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Ingress, Egress]", ""},
		{"nobody",
			web + "ingress: [{action: Allow, source: {selector: '!all()'}}]", "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Ingress]", ""},

		{"a denial", web + "ingress: [{action: Deny}]", "", "spec.ingress[0].action: Deny"},
		{"another tier", web + "tier: platform", "", "spec.tier"},
		{"service accounts", web + "serviceAccountSelector: all()", "", "spec.serviceAccountSelector"},
		{"HTTP", web + "ingress: [{action: Allow, http: {methods: [GET]}}]", "", "spec.ingress[0].http"},
		{"negation", web + "ingress: [{action: Allow, source: {notSelector: has(a)}}]", "", "spec.ingress[0].source.notSelector"},
		{"the wrong end", web + "ingress: [{action: Allow, protocol: TCP, source: {ports: [80]}}]", "", "spec.ingress[0].source.ports"},
		{"services", web + "egress: [{action: Allow, destination: {services: {name: a}}}]", "", "spec.egress[0].destination.services"},
		{"ICMP", web + "ingress: [{action: Allow, protocol: ICMP}]", "", "spec.ingress[0].protocol"},
		{"parts of values", "selector: a starts with 'b'", "", "spec.selector"},
		{"labels of Calico's", "selector: projectcalico.org/orchestrator == 'k8s'", "", "spec.selector"},
		{"what is of no namespace", web + "ingress: [{action: Allow, source: {namespaceSelector: global()}}]", "", "namespaceSelector"},
		{"a selector beside ranges",
			web + "ingress: [{action: Allow, source: {selector: has(a), nets: [10.0.0.0/8]}}]", "", "spec.ingress[0].source.nets"},
		{"what cannot be read", "selector: a == b", "", "no value in quotes"},
		{"what is not closed", "selector: (has(a)", "", "not closed"},
		{"signs", "selector: has(a) ; has(b)", "", "cannot be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := objectOf(t, "NetworkPolicy", "{namespace: shop, name: p}", test.spec)
			if !calico.Is(o) {
				t.Error("it is no policy of Calico")
			}
			got, err := calico.Read(o, []*unstructured.Unstructured{o})
			wantSpec(t, got, err, test.want, test.problem)
		})
	}
}

// A rule that denies is asked before or after a policy, and has to be where it was.
func TestOrder(t *testing.T) {
	const denies = "ingress: [{action: Deny}]"
	for _, test := range []struct {
		order, kind, metadata, other string
		isRead                       bool
	}{
		{"order: 10", "GlobalNetworkPolicy", "{name: g}", "order: 5\n" + denies, true},
		{"order: 10", "GlobalNetworkPolicy", "{name: g}", "order: 500\n" + denies, false},
		{"order: 10", "GlobalNetworkPolicy", "{name: g}", "order: 2000\n" + denies, true},
		{"order: 10", "GlobalNetworkPolicy", "{name: g}", denies, true},
		{"", "GlobalNetworkPolicy", "{name: g}", "order: 1500\n" + denies, false},
		{"", "GlobalNetworkPolicy", "{name: g}", "order: 1500\ntier: platform\n" + denies, true},
		{"", "GlobalNetworkPolicy", "{name: g}", "order: 1500\ningress: [{action: Allow}]", true},
		{"order: 10", "NetworkPolicy", "{namespace: shop, name: g}", "order: 500\n" + denies, false},
		{"order: 10", "NetworkPolicy", "{namespace: other, name: g}", "order: 500\n" + denies, true},
		{"order: 10", "NetworkPolicy", "{namespace: shop, name: g}", "order: 10\n" + denies, false},
		{"order: 10", "StagedThing", "{namespace: shop, name: g}", "order: 500\n" + denies, true},
	} {
		o := objectOf(t, "NetworkPolicy", "{namespace: shop, name: p}", "selector: all()\n"+test.order)
		other := objectOf(t, test.kind, test.metadata, test.other)
		_, err := calico.Read(o, []*unstructured.Unstructured{o, other})
		if (err == nil) != test.isRead || err != nil && !strings.HasPrefix(err.Error(), "spec.order: ") {
			t.Errorf("%s beside %s %s of %q: %v", test.order, test.kind, test.metadata, test.other, err)
		}
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
