package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// The pods of a connection are gone when somebody reads of it. What denied says to run has an answer then too.
func TestWhatDeniedSaysToRunHasAnAnswer(t *testing.T) {
	const manifests = `
apiVersion: policy.apptier.dev/v1alpha1
kind: AppTier
metadata: {namespace: shop, name: shop}
spec:
  tiers:
  - {name: front, podSelector: {matchLabels: {app: web}}}
  - {name: data, podSelector: {matchLabels: {app: pg}}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: web}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {namespace: shop, name: report}
spec: {schedule: 0 2 * * *, jobTemplate: {spec: {template: {metadata: {labels: {app: report}}}}}}
`
	web := connections.End{Address: "10.0.0.1", Namespace: "shop", Pod: "web-5d8f-abcde", Workload: "Deployment/web"}
	report := connections.End{Address: "10.0.0.2", Namespace: "shop", Pod: "report-29933400-abcde", Workload: "CronJob/report"}
	bare := connections.End{Address: "10.0.0.3", Namespace: "shop", Pod: "pg-0", AppTier: "shop", Tier: "data"}
	restore := connections.End{Address: "10.0.0.4", Namespace: "shop", Pod: "restore-abcde", Workload: "Job/restore", AppTier: "shop", Tier: "front"}
	outside := connections.End{Address: "198.51.100.7"}
	list := connections.ConnectionList{Items: []connections.Connection{
		{Source: web, Destination: bare, Protocol: corev1.ProtocolTCP, Port: 5432, Direction: connections.Ingress},
		{Source: report, Destination: bare, Protocol: corev1.ProtocolUDP, Port: 53, Direction: connections.Ingress},
		{Source: restore, Destination: web, Protocol: corev1.ProtocolSCTP, Port: 1, Direction: connections.Egress},
		{Source: outside, Destination: bare, Protocol: "ICMP", Direction: connections.Ingress},
		{Source: report, Destination: outside, Protocol: "ICMPv6", Direction: connections.Egress},
	}}
	list.SetGroupVersionKind(connections.GroupVersion.WithKind("ConnectionList"))
	for i := range list.Items {
		list.Items[i].Verdict, list.Items[i].Count = connections.Denied, 1
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "connections.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, _ := run(t, "", "denied", "-f", file)
	commands := 0
	for line := range strings.Lines(stdout) {
		command, isCommand := strings.CutPrefix(strings.TrimSpace(line), "kubectl apptier ")
		if !isCommand {
			continue
		}
		commands++
		if _, problem, code := run(t, manifests, append(strings.Fields(command), "-f", "-")...); code > 1 {
			t.Errorf("%s exits with %d: %s", command, code, problem)
		}
	}
	if commands != len(list.Items) {
		t.Errorf("prints %d commands for %d connections:\n%s%s", commands, len(list.Items), stdout, stderr)
	}
}
