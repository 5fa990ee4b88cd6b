package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli"
)

// A whole company's policies are imported: 500 of 40 teams, by hand, with the workloads that they are for.
func BenchmarkImportByHand(b *testing.B) {
	manifests := handWritten(40)
	policies := 0
	for _, manifest := range manifests {
		policies += strings.Count(manifest, "kind: NetworkPolicy")
	}
	text := strings.Join(manifests, "---\n")
	b.ReportAllocs()
	for b.Loop() {
		streams, in, out, errOut := genericiooptions.NewTestIOStreams()
		in.WriteString(text)
		command := cli.NewCommand(streams)
		command.SetArgs([]string{"import", "-"})
		if err := command.ExecuteContext(b.Context()); err != nil || strings.Count(out.String(), "kind: AppTier") != 40 {
			b.Fatalf("%v\n%s", err, errOut)
		}
	}
	b.ReportMetric(float64(policies), "policies")
	b.ReportMetric(float64(len(manifests)), "manifests")
}

// handWritten returns the manifests of teams: eight Deployments with Services and policies, by which each may be called by
// the one before it; a denial and DNS for all; and, of every second team, a scraper that all of them let in.
func handWritten(teams int) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	apps := []string{"frontend", "api", "database", "cart", "search", "mail", "cache", "batch"}
	for i := range teams {
		team := fmt.Sprintf("team-%d", i)
		add("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {team: %[1]s}}\n", team)
		add(denyManifest, team)
		add(dnsManifest, team)
		for j, app := range apps {
			add(deploymentManifest, team, app, 8000+j)
			add(serviceManifest, team, app, 8000+j)
			add(bothWaysManifest, team, app, apps[(j+7)%8], 8000+j, apps[(j+1)%8], 8000+(j+1)%8)
		}
		for _, app := range apps[:2+i%2] {
			add(scrapeManifest, team, app)
		}
	}
	return out
}

const (
	denyManifest = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: %s, name: default-deny}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
`
	dnsManifest = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: %s, name: dns}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
    ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
`
	bothWaysManifest = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: %s, name: %s}
spec:
  podSelector: {matchLabels: {app: %[2]s}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: %s}}}]
    ports: [{port: %d}]
  egress:
  - to: [{podSelector: {matchLabels: {app: %s}}}]
    ports: [{port: %d}]
`
	scrapeManifest = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: %s, name: %s-scrape}
spec:
  podSelector: {matchLabels: {app: %[2]s}}
  policyTypes: [Ingress]
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {purpose: monitoring}}
      podSelector: {matchLabels: {app: prometheus}}
    ports: [{port: 9090}]
`
)
