package lint_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// The shapes are those of public charts, rendered: the names of ports, and what the containers are told of
// their own Service. Ingest, scrape targets and stores are replicas that need nothing of each other.
func TestReplicasThatNeedEachOther(t *testing.T) {
	const shape = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: set, namespace: shop}
spec:
  replicas: 3
  serviceName: set-headless
  selector: {matchLabels: {app: set}}
  template:
    metadata: {labels: {app: set}}
    spec: {containers: [{name: main, image: main, %s}]}
---
apiVersion: v1
kind: Service
metadata: {name: set-headless, namespace: shop}
spec: {clusterIP: None, selector: {app: set}, ports: [{port: 80}]}
`
	const policy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: set, namespace: shop}
spec:
  podSelector: {matchLabels: {app: set}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]
`
	client := "---\napiVersion: v1\nkind: Pod\nmetadata: {name: client, namespace: shop, labels: {app: client}}\n"
	for _, test := range []struct {
		name, container string
		warns           bool
	}{
		{"redis", `ports: [{containerPort: 6379}]`, true},
		{"redis, named", `ports: [{name: redis, containerPort: 6379}]`, true},
		{"alertmanager", `ports: [{name: web, containerPort: 9093}, {name: mesh, containerPort: 9094}]`, true},
		{"kafka", `ports: [{name: client, containerPort: 9092}, {name: interbroker, containerPort: 9094}]`, true},
		{"elasticsearch", `ports: [{name: rest-api, containerPort: 9200}, {name: transport, containerPort: 9300}]`, true},
		{"loki", `ports: [{name: http, containerPort: 3100}, {name: http-memberlist, containerPort: 7946}, {name: grpc, containerPort: 9095}]`, true},
		{"nats", `ports: [{name: client, containerPort: 4222}, {name: cluster, containerPort: 6222}, {name: monitoring, containerPort: 8222}]`, true},
		{"a raft beside http", `ports: [{name: http, containerPort: 8200}, {name: raft-grpc, containerPort: 8201}]`, true},
		{"one that is told its Service and a port", `ports: [{name: http, containerPort: 8080}], args: ["--join=set-headless:7000"]`, true},
		{"a volume server that says its name", `ports: [{name: http, containerPort: 8080}], args: ["-ip=$(POD_NAME).set-headless.shop.svc.cluster.local"]`, true},
		{"a raft that joins the first", `ports: [{name: http, containerPort: 8200}], env: [{name: JOIN, value: "http://set-0.set-headless:8200"}]`, true},
		{"a shell that joins the first", `ports: [{name: http, containerPort: 8200}], command: [sh, -c, "join set-0"]`, true},

		{"prometheus", `ports: [{name: http-web, containerPort: 9090}, {name: reloader-web, containerPort: 8080}]`, false},
		{"thanos store", `ports: [{name: http, containerPort: 10902}, {name: grpc, containerPort: 10901}]`, false},
		{"logstash", `ports: [{name: http, containerPort: 8080}, {name: monitoring, containerPort: 9600}]`, false},
		{"a stateless set", `ports: [{name: web, containerPort: 80}]`, false},
		{"spark worker", `ports: [{name: http, containerPort: 8080}]`, false},
		{"a site named like another set", `ports: [{name: http, containerPort: 8080}], env: [{name: BACKEND, value: "other-set-0.other-set-headless"}]`, false},
		{"its name and no more", `ports: [{name: http, containerPort: 8080}], env: [{name: NAME, value: set}]`, false},
		{"no ports", `args: [-v]`, false},
	} {
		found := judgeObject(t, policy, fmt.Sprintf(shape, test.container)+client)
		is := slices.ContainsFunc(found, func(f check.Finding) bool { return f.Check == netpol.ReplicasIsolated })
		if is != test.warns {
			t.Errorf("%s: warns %v, want %v: %v", test.name, is, test.warns, found)
		}
	}
}
