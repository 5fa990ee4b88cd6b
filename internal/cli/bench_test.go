package cli_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli"
	"github.com/apptier/apptier/internal/cli/exit"
)

// Lint is run before every commit: 1,000 manifests of 40 teams, as documents of one file, and as items
// of one list. A policy in ten has a finding.
func BenchmarkLint(b *testing.B) {
	manifests := teamManifests(40)
	list := "apiVersion: v1\nkind: List\nitems:\n"
	for _, manifest := range manifests {
		list += "- " + strings.ReplaceAll(strings.TrimSpace(manifest), "\n", "\n  ") + "\n"
	}
	for name, text := range map[string]string{"documents": strings.Join(manifests, "---\n"), "list": list} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				streams, in, _, errOut := genericiooptions.NewTestIOStreams()
				in.WriteString(text)
				streams.Out = io.Discard
				command := cli.NewCommand(streams)
				command.SetArgs([]string{"lint", "-f", "-"})
				var answer *exit.AnswerError
				if err := command.ExecuteContext(b.Context()); err != nil && !errors.As(err, &answer) {
					b.Fatalf("%v\n%s", err, errOut)
				}
			}
			b.ReportMetric(float64(len(manifests)), "manifests")
		})
	}
}

// Tests are run in every pull request: 1,000 manifests of 40 teams, each with 4 cases, one of which names all who may
// connect.
func BenchmarkTest(b *testing.B) {
	manifests := teamManifests(40)
	for i := range 40 {
		manifests = append(manifests, fmt.Sprintf(casesManifest, fmt.Sprintf("team-%d", i)))
	}
	text := strings.Join(manifests, "---\n")
	b.ReportAllocs()
	for b.Loop() {
		streams, in, out, errOut := genericiooptions.NewTestIOStreams()
		in.WriteString(text)
		command := cli.NewCommand(streams)
		command.SetArgs([]string{"test", "-f", "-"})
		var answer *exit.AnswerError
		if err := command.ExecuteContext(b.Context()); err != nil && !errors.As(err, &answer) || !strings.Contains(out.String(), "160 cases:") {
			b.Fatalf("%v\n%s", err, errOut)
		}
	}
}

// Changes are compared in every pull request: 1,000 manifests of 40 teams, with another port in one AppTier, or in all.
func BenchmarkDiff(b *testing.B) {
	before := teamManifests(40)
	one, all := slices.Clone(before), slices.Clone(before)
	changed := func(manifest string) string { return strings.ReplaceAll(manifest, "8002", "8012") }
	for i, manifest := range before {
		if strings.Contains(manifest, "kind: AppTier") {
			all[i] = changed(manifest)
			one[1] = changed(before[1])
		}
	}
	for name, after := range map[string][]string{"one": one, "all": all, "nothing": before} {
		b.Run(name, func(b *testing.B) {
			directory := b.TempDir()
			for file, manifests := range map[string][]string{"old.yaml": before, "new.yaml": after} {
				if err := os.WriteFile(filepath.Join(directory, file), []byte(strings.Join(manifests, "---\n")), 0o600); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				streams, _, out, errOut := genericiooptions.NewTestIOStreams()
				command := cli.NewCommand(streams)
				command.SetArgs([]string{"diff", filepath.Join(directory, "old.yaml"), filepath.Join(directory, "new.yaml")})
				if err := command.ExecuteContext(b.Context()); err != nil || strings.Contains(out.String(), "no connection is") != (name == "nothing") {
					b.Fatalf("%v\n%s%s", err, out, errOut)
				}
			}
		})
	}
}

// A map is looked at while one writes.
func BenchmarkMap(b *testing.B) {
	text := strings.Join(teamManifests(40), "---\n")
	for b.Loop() {
		streams, in, out, errOut := genericiooptions.NewTestIOStreams()
		in.WriteString(text)
		command := cli.NewCommand(streams)
		command.SetArgs([]string{"map", "-"})
		if err := command.ExecuteContext(b.Context()); err != nil || !strings.Contains(out.String(), "team-39") {
			b.Fatalf("%v\n%s", err, errOut)
		}
	}
}

const casesManifest = `apiVersion: test.apptier.dev/v1alpha1
kind: ConnectionTest
metadata: {name: test, namespace: %s}
cases:
- {from: deployment/frontend, to: deployment/api, ports: [8001], expect: allow}
- {from: deployment/frontend, to: deployment/database, ports: [1-65535], expect: deny}
- {from: internet, to: [deployment/api, deployment/database], ports: [1-65535], expect: deny}
- {to: deployment/database, ports: [8002], onlyFrom: deployment/api}
`

// teamManifests returns 25 manifests for each team: a namespace, an AppTier of three tiers, eight
// Deployments with their Services, and seven policies beside the AppTier.
func teamManifests(teams int) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for i := range teams {
		team := fmt.Sprintf("team-%d", i)
		add("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {team: %[1]s}}\n", team)
		add(appTierManifest, team)
		for j := range 8 {
			app := []string{"frontend", "api", "database", "cart", "search", "mail", "cache", "batch"}[j]
			add(deploymentManifest, team, app, 8000+j)
			add(serviceManifest, team, app, 8000+j)
		}
		for j, app := range []string{"cart", "search", "mail", "cache", "batch"} {
			add(policyManifest, team, app, "api", 8003+j)
		}
		add(everywhereManifest, team, "cart", 8003)
		add(policyManifest, team, "search-2", []string{"api", "apl"}[i%2], 8004) // a typing error
	}
	return out
}

const (
	appTierManifest = `apiVersion: policy.apptier.dev/v1alpha1
kind: AppTier
metadata: {namespace: %s, name: shop}
spec:
  tiers:
  - name: frontend
    podSelector: {matchLabels: {app: frontend}}
    ports: [{name: http, port: 8000}]
    ingress:
    - from: [{internet: {}}]
  - name: api
    podSelector: {matchLabels: {app: api}}
    ports: [{name: http, port: 8001}]
    ingress:
    - from: [{tier: frontend}]
  - name: database
    podSelector: {matchLabels: {app: database}}
    ports: [{name: pg, port: 8002}]
    ingress:
    - from: [{tier: api}]
`
	deploymentManifest = `apiVersion: apps/v1
kind: Deployment
metadata:
  namespace: %s
  name: %s
  labels:
    app: %[2]s
spec:
  replicas: 2
  selector:
    matchLabels:
      app: %[2]s
  template:
    metadata:
      labels:
        app: %[2]s
        app.kubernetes.io/part-of: shop
    spec:
      containers:
      - name: main
        image: registry.example.com/%[2]s:1.2.3
        env:
        - name: LOG_LEVEL
          value: info
        ports:
        - name: http
          containerPort: %[3]d
        resources:
          requests: {cpu: 100m, memory: 128Mi}
        readinessProbe:
          httpGet: {path: /ready, port: http}
`
	serviceManifest = `apiVersion: v1
kind: Service
metadata: {namespace: %s, name: %s}
spec:
  selector:
    app: %[2]s
  ports:
  - port: 80
    targetPort: %[3]d
`
	policyManifest = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: %s, name: %s}
spec:
  podSelector:
    matchLabels:
      app: %[2]s
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector:
        matchLabels:
          app: %[3]s
    ports:
    - port: %[4]d
  egress:
  - to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
    ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
`
	everywhereManifest = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: %s, name: %s-everywhere}
spec:
  podSelector:
    matchLabels:
      app: %[2]s
  policyTypes: [Ingress]
  ingress:
  - from:
    - namespaceSelector: {}
      podSelector:
        matchLabels:
          app: search
    ports:
    - port: %[3]d
`
)

// Policies are imported once, and looked at again and again until what stays is known: 40 banks, of 960 manifests.
func BenchmarkImport(b *testing.B) {
	bank, err := os.ReadFile("testdata/import/bank.yaml")
	if err != nil {
		b.Fatal(err)
	}
	var text strings.Builder
	for i := range 40 {
		text.WriteString(strings.ReplaceAll(string(bank), "namespace: bank\n", fmt.Sprintf("namespace: bank-%d\n", i)) + "---\n")
	}
	b.ReportAllocs()
	for b.Loop() {
		streams, in, _, errOut := genericiooptions.NewTestIOStreams()
		in.WriteString(text.String())
		streams.Out = io.Discard
		command := cli.NewCommand(streams)
		command.SetArgs([]string{"import", "-"})
		if err := command.ExecuteContext(b.Context()); err != nil || !strings.Contains(errOut.String(), "640 of 640 policies") {
			b.Fatalf("%v\n%s", err, errOut)
		}
	}
}
