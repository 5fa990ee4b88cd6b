package cli_test

import (
	"encoding/json"
	"testing"
)

// Maps of the same manifests, in all forms, are in testdata/golden.
func TestMaps(t *testing.T) {
	for _, test := range []struct {
		name, args string
		code       int
	}{
		{"map", "", 0},
		{"map-matrix", "-o matrix", 0},
		{"map-matrix-narrow", "-o matrix --width 58", 0},
		{"map-matrix-too-narrow", "-o matrix --width 40", 2},
		{"map-matrix-focus", "-o matrix --width 40 --focus database", 0},
		{"map-around", "--focus database --around 2", 0},
		{"map-around-nobody", "--around 2", 2},
		{"map-bad-around", "--focus database --around 0", 2},
		{"map-denied", "--denied", 0},
		{"map-denied-md", "--denied -o md --focus database", 0},
		{"map-denied-json", "--denied -o json --focus grafana", 0},
		{"map-denied-picture", "--denied -o mermaid", 2},
		{"map-mermaid", "-o mermaid", 0},
		{"map-dot", "-o dot", 0},
		{"map-svg", "-o svg", 0},
		{"map-group", "--group always", 0},
		{"map-group-matrix", "--group always -o matrix", 0},
		{"map-bad-group", "--group some", 2},
		{"map-bad-width", "-o matrix --width -2", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantOutput(t, test.name, "map"+input("map.yaml")+" "+test.args, test.code)
		})
	}
}

// A namespace that a workload is in is there, and its labels are not known: a policy that asks for some is no reason to take
// the others for denied.
func TestMapMakesNoLabelsUp(t *testing.T) {
	const manifests = `
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: monitoring, name: scraper}
spec: {selector: {matchLabels: {app: scraper}}, template: {metadata: {labels: {app: scraper}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: web}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: db}
spec: {selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring, team: a}}, podSelector: {}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring, team: b}}, podSelector: {}}]}]
`
	stdout, stderr, _ := run(t, manifests, "map", "-f", "-", "--denied", "-o", "json")
	var m struct{ Denied, NotKnown []struct{ From, To []string } }
	if err := json.Unmarshal([]byte(stdout), &m); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	for _, to := range []string{"shop/deployment/web", "shop/deployment/db"} {
		if !isListed(m.NotKnown, "monitoring/deployment/scraper", to) || isListed(m.Denied, "monitoring/deployment/scraper", to) {
			t.Errorf("that the scraper reaches %s is not said to be not known: %s", to, stdout)
		}
	}
}
