package cli_test

import (
	"strings"
	"testing"
)

// A cluster's policies become AppTiers in its own world: what its Service of DNS has an address for is listed, as the
// manager opens that too.
func TestImportOfACluster(t *testing.T) {
	withoutKubeconfig(t)
	server, _ := apiServer(t, "../import/shop.yaml", "../import/bank.yaml", "cluster-dns.yaml")
	stdout, stderr, code := run(t, "", "import", "--cluster", "-n", "shop", "--server", server)
	if code != 0 || !strings.Contains(stdout, "- tier: frontend") || strings.Contains(stdout, "name: bank") {
		t.Errorf("exits with %d and prints:\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"7 of 7 policies", "→ 10.96.0.10/32 TCP 53, UDP 53\n"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("standard error lacks %q:\n%s", want, stderr)
		}
	}
	if strings.Contains(stderr, "10.96.0.10/32 TCP 53, UDP 53, ") || strings.Contains(stdout, "last-applied") {
		t.Errorf("prints:\n%s%s", stdout, stderr)
	}
	stdout, stderr, code = run(t, "", "import", "--cluster", "-A", "--server", server)
	if code != 0 || strings.Count(stdout, "kind: AppTier") != 2 || !strings.Contains(stderr, "23 of 23 policies") {
		t.Errorf("exits with %d and prints:\n%s%s", code, stdout, stderr)
	}
	server, _ = apiServer(t, "../import/tenant.yaml")
	stdout, _, code = run(t, "", "import", "--cluster", "-n", "tenant", "--server", server)
	if code != 0 || !strings.Contains(stdout, "\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n") {
		t.Errorf("exits with %d, and lacks what stays:\n%s", code, stdout)
	}
}
