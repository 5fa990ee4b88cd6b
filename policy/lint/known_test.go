package lint_test

import (
	"strings"
	"testing"

	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// A hint names what was misspelt, and never what means something else.
func TestHints(t *testing.T) {
	for _, test := range []struct{ wanted, there, hint string }{
		{"fronted", "frontend", "frontend"},
		{"wbe", "web", "web"},
		{"webb", "web", "web"},
		{"databse", "database", "database"},
		{"shop-fronted", "shop-frontend", "shop-frontend"},
		{"deliver-server", "deliver-redis", ""},
		{"deliver-worker", "deliver-web", ""},
		{"api", "app", ""},
		{"api", "web", ""},
		{"redis-0", "redis-1", ""},
		{"kafka-broker", "kafka", ""},
		{"postgres", "postgresql", "postgresql"},
		{"monitoring", "logging", ""},
	} {
		policy := strings.ReplaceAll(`apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: shop}
spec:
  podSelector: {matchLabels: {app: NAME}}
  policyTypes: [Ingress]
`, "NAME", test.wanted)
		pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: shop, labels: {app: " + test.there + "}}\n"
		found := judgeObject(t, policy, pod)
		if len(found) != 1 || found[0].Check != netpol.SelectsNothing {
			t.Fatalf("%s beside %s: %v", test.wanted, test.there, found)
		}
		_, rest, isHint := strings.Cut(found[0].Fix, "did you mean app: ")
		if hint, _, _ := strings.Cut(rest, "?"); isHint != (test.hint != "") || hint != test.hint {
			t.Errorf("%s beside %s: %s", test.wanted, test.there, found[0].Fix)
		}
	}
}

// What is not in the input is not known: a check that would need it is silent, or no more than a note.
func TestWhatIsNotGivenIsNotMissing(t *testing.T) {
	const policy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{namespaceSelector: {matchLabels: {name: payments}}}]}]
  egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: payments}}}], ports: [{port: 443}]}]
`
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web}}\n"
	other := "apiVersion: v1\nkind: Pod\nmetadata: {name: db, namespace: shop, labels: {app: db}}\n"
	namespace := "apiVersion: v1\nkind: Namespace\nmetadata: {name: payments}\n"
	for name, test := range map[string]struct{ rest, want string }{
		"the policy alone":        {"", "note dns-missing, note namespace-label-name"},
		"its pods":                {pod, "warning dns-missing, note namespace-label-name"},
		"other pods":              {other, "note dns-missing, note namespace-label-name, warning selects-nothing"},
		"the namespace":           {namespace, "note dns-missing, warning namespace-label-name"},
		"the namespace, labelled": {strings.Replace(namespace, "name: payments", "name: payments, labels: {name: payments}", 1), "note dns-missing"},
	} {
		var got []string
		for _, f := range judgeObject(t, policy, test.rest) {
			got = append(got, string(f.Severity)+" "+string(f.Check))
		}
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%s: found %v, want %s", name, got, test.want)
		}
	}
	// Of objects that nobody understands, there may be more pods.
	objects := parse(t, policy+"---\n"+other)
	world := worldOf(objects)
	world.MorePods = true
	for _, f := range lint.NetworkPolicy(world.Policies[0], world) {
		if f.Check == netpol.SelectsNothing {
			t.Errorf("with more pods: %s", f)
		}
	}
}

// Named and numbered ports of backends, and the ways in which the API server may be let in.
func TestBackends(t *testing.T) {
	const rest = `apiVersion: v1
kind: Service
metadata: {name: hook, namespace: shop}
spec: {selector: {app: hook}, ports: [{port: 443, targetPort: hook}]}
---
apiVersion: v1
kind: Pod
metadata: {name: hook, namespace: shop, labels: {app: hook}}
spec: {containers: [{name: c, ports: [{name: hook, containerPort: 9443}]}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks: [{name: h.example.com, clientConfig: {service: {name: hook, namespace: shop}}}]
`
	for ingress, shutOut := range map[string]bool{
		"[]":                            true,
		"[{from: [{podSelector: {}}]}]": true,
		"[{from: [{ipBlock: {cidr: 192.0.2.1/32}}], ports: [{port: 443}]}]":  true,
		"[{from: [{ipBlock: {cidr: 192.0.2.1/32}}], ports: [{port: 9443}]}]": false,
		"[{ports: [{port: hook}]}]":                                          false,
		"[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: konnectivity-agent}}}]}]": false,
		"[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {component: kube-apiserver}}}]}]":   true,
	} {
		policy := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {podSelector: {matchLabels: {app: hook}}, policyTypes: [Ingress], ingress: " + ingress + "}\n"
		found := false
		for _, f := range judgeObject(t, policy, rest) {
			found = found || f.Check == netpol.APIServerUnreachable
		}
		if found != shutOut {
			t.Errorf("%s: found %v", ingress, found)
		}
	}
}
