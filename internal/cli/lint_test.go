package cli_test

import "testing"

// A cluster is judged as manifests are, and manifests in a cluster as they would be there.
func TestLintOfACluster(t *testing.T) {
	withoutKubeconfig(t)
	server, _ := apiServer(t, "lint-cluster.yaml")
	empty, _ := apiServer(t)
	for _, test := range []struct {
		name, server, args string
		code               int
	}{
		{"lint-cluster", server, "lint --cluster -A", 1},
		{"lint-cluster-namespace", server, "lint --cluster -n edge", 0},
		{"lint-cluster-json", server, "lint --cluster -n shop -o json", 1},
		{"lint-cluster-sarif", server, "lint --cluster -n edge -o sarif", 0},
		{"lint-cluster-github", server, "lint --cluster -n edge -o github --fail-on warn", 1},
		{"lint-cluster-empty", empty, "lint --cluster -A -o json", 0},
		{"lint-in-cluster", server, "lint --cluster" + input("lint-change.yaml"), 1},
		{"lint-in-cluster-all-namespaces", server, "lint --cluster -A" + input("lint-change.yaml"), 2},
		{"lint-cluster-unreachable", "http://127.0.0.1:1", "lint --cluster", 2},
	} {
		t.Run(test.name, func(t *testing.T) { wantOutput(t, test.name, test.args, test.code, "--server", test.server) })
	}
}
