package cli_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/golden"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/policy/lint"
)

// run is what a process of the plugin would print, and exit with.
func run(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	streams, in, out, errOut := genericiooptions.NewTestIOStreams()
	in.WriteString(stdin)
	command := cli.NewCommand(streams)
	command.SetArgs(args)
	err := command.ExecuteContext(t.Context())
	exit.Report(errOut, err)
	return out.String(), errOut.String(), exit.Code(err)
}

// input names files of testdata/input as -f flags.
func input(names ...string) string {
	var flags []string
	for _, name := range names {
		flags = append(flags, "-f testdata/input/"+name)
	}
	return " " + strings.Join(flags, " ")
}

// What people see is in testdata/golden, in files named after the cases.
func TestGolden(t *testing.T) {
	for _, test := range []struct {
		name string
		args string
		code int
	}{
		{"render", "render" + input("shop.yaml"), 0},
		{"render-json", "render -o json" + input("app.json"), 0},
		{"render-audit", "render" + input("audit.yaml"), 0},
		{"can-audit", "can shop/cron shop/db --port 5432" + input("audit.yaml"), 0},
		{"can-audit-json", "can -o json shop/cron shop/db --port 5432" + input("audit.yaml"), 0},
		{"can-audit-declared", "can shop/web shop/db --port 5432" + input("audit.yaml"), 0},
		{"explain-audit-replaced", "explain shop/cron shop/cache --port 6379" + input("audit.yaml"), 0},
		{"lint-audit", "lint" + input("audit.yaml"), 0},
		{"render-mermaid", "render -o mermaid" + input("shop.yaml"), 0},
		{"render-name", "render -o name" + input("shop.yaml", "app.json"), 0},
		{"render-default-namespace", "render" + input("no-namespace.yaml"), 0},
		{"render-given-namespace", "render -n web --cluster-networks 203.0.113.0/24" + input("no-namespace.yaml"), 0},
		{"render-kustomization", "render -k testdata/kustomization", 0},
		{"render-kustomization-with-functions", "render -k ../../config/samples/kustomize-function", 2},
		{"render-list", "render" + input("list.yaml"), 0},
		{"render-folder", "render -o name" + input("folder"), 0},
		{"render-folder-recursive", "render -R -o name" + input("folder"), 0},
		{"render-doubtful", "render -o name" + input("doubtful.yaml"), 0},
		{"render-references", "render" + input("references.yaml", "cluster.yaml"), 0},
		{"render-unresolved", "render" + input("references.yaml"), 0},
		{"render-one-side", "render -o name" + input("one-side.yaml", "cluster.yaml"), 0},
		{"render-workloads", "render" + input("workloads.yaml"), 0},
		{"render-dns-service", "render --dns-service cache/redis -o name" + input("references.yaml", "cluster.yaml"), 0},
		{"render-bad-dns-service", "render --dns-service kube-dns" + input("shop.yaml"), 2},
		{"render-two-services", "render" + input("references.yaml", "cluster.yaml", "two-services.yaml"), 2},
		{"render-unasked-services", "render -o name" + input("shop.yaml", "cluster.yaml", "two-services.yaml"), 0},
		{"render-wrong-service", "render" + input("shop.yaml", "wrong-service.yaml"), 2},
		{"render-conflict", "render" + input("conflict.yaml"), 1},
		{"render-all-namespaces", "render -A" + input("shop.yaml"), 2},
		{"render-refused", "render" + input("refused.yaml"), 1},
		{"render-no-input", "render", 2},
		{"render-kustomization-and-files", "render -o name -k testdata/kustomization" + input("app.json"), 0},
		{"render-unresolved-fails", "render --fail-on warn" + input("references.yaml"), 1},
		{"render-bad-output", "render -o xml" + input("shop.yaml"), 2},
		{"render-bad-network", "render --cluster-networks 10" + input("shop.yaml"), 2},
		{"import-shop", "import testdata/import/shop.yaml", 0},
		{"import-monitoring", "import testdata/import/monitoring.yaml", 0},
		{"import-narrow", "import --narrow testdata/import/monitoring.yaml", 0},
		{"import-gitops", "import testdata/import/gitops.yaml", 0},
		{"import-tenant", "import testdata/import/tenant.yaml", 0},
		{"import-bank", "import testdata/import/bank.yaml", 0},
		{"import-json", "import -o json testdata/import/tenant.yaml", 0},
		{"import-fails", "import --fail-on stays testdata/import/tenant.yaml", 1},
		{"import-no-policies", "import" + input("shop.yaml"), 2},
		{"import-no-input", "import", 2},
		{"import-bad-output", "import -o table testdata/import/shop.yaml", 2},
		{"import-bad-fail-on", "import --fail-on never testdata/import/shop.yaml", 2},
		{"import-all-namespaces", "import -A testdata/import/shop.yaml", 2},
		{"unknown-fields", "render" + input("unknown-fields.yaml"), 2},
		{"wrong-types", "render" + input("wrong-types.yaml"), 2},
		{"not-yaml", "render" + input("not-yaml.yaml"), 2},
		{"duplicate-keys", "render" + input("duplicate-keys.yaml"), 2},
		{"duplicate-objects", "render" + input("duplicate-objects.yaml"), 2},
		{"other-kinds", "render" + input("other-kinds.yaml"), 2},
		{"empty", "render" + input("empty.yaml"), 2},
		{"missing", "render" + input("missing.yaml", "not-yaml.yaml", "also-missing.yaml"), 2},
		{"list-bad", "render" + input("list-bad.yaml"), 2},
		{"lint-conflict", "lint" + input("conflict.yaml"), 1},
		{"lint-clean", "lint" + input("shop.yaml"), 0},
		{"lint-refused", "lint" + input("refused.yaml"), 1},
		{"lint-json", "lint -o json" + input("refused.yaml"), 1},
		{"lint-json-clean", "lint -o json" + input("shop.yaml"), 0},
		{"lint-doubtful", "lint" + input("doubtful.yaml"), 0},
		{"lint-doubtful-fails", "lint --fail-on warn" + input("doubtful.yaml"), 1},
		{"lint-kustomization", "lint -k testdata/kustomization-refused", 1},
		{"lint-policies", "lint" + input("policies.yaml"), 1},
		{"lint-policies-json", "lint -o json" + input("policies.yaml"), 1},
		{"lint-policies-sarif", "lint -o sarif" + input("policies.yaml"), 1},
		{"lint-policies-github", "lint -o github" + input("policies.yaml"), 1},
		{"lint-invalid-policy", "lint" + input("own-policy.yaml"), 1},
		{"lint-rendered", "lint" + input("shop.yaml", "stale-policy.yaml"), 0},
		{"lint-references", "lint" + input("lint-cluster.yaml"), 1},
		{"lint-all-namespaces", "lint -A" + input("shop.yaml"), 2},
		{"lint-no-input", "lint", 2},
		{"lint-no-policies", "lint" + input("pods.yaml"), 2},
		{"lint-bad-fail-on", "lint --fail-on never" + input("shop.yaml"), 2},
		{"lint-bad-output", "lint -o yaml" + input("shop.yaml"), 2},
		{"can-allowed", "can shop/web shop/api --port 8080" + input("pods.yaml", "shop.yaml"), 0},
		{"can-denied", "can -n shop web db --port 5432" + input("pods.yaml", "shop.yaml", "stale-policy.yaml"), 1},
		{"can-other-port", "can shop/api 10.0.0.3 --port 5433 --protocol udp" + input("pods.yaml", "shop.yaml"), 1},
		{"can-address", "can 198.51.100.7 shop/db --port 5432" + input("pods.yaml", "own-policy.yaml"), 0},
		{"can-unknown", "can shop/web shop/missing --port 80" + input("pods.yaml", "shop.yaml"), 3},
		{"can-own-node", "can 192.168.0.1 shop/web --port 1" + input("pods.yaml", "shop.yaml"), 0},
		{"can-references", "can frontend/web cache/redis --port 6380" + input("references.yaml", "cluster.yaml", "reference-pods.yaml"), 0},
		{"can-unresolved", "can frontend/web cache/redis --port 6380" + input("references.yaml", "reference-pods.yaml"), 1},
		{"can-refused", "can shop/web shop/api --port 80" + input("pods.yaml", "refused.yaml"), 2},
		{"can-taken-name", "can shop/web shop/api --port 80" + input("pods.yaml", "shop.yaml", "taken-name.yaml"), 2},
		{"can-no-port", "can shop/web shop/api" + input("pods.yaml"), 2},
		{"can-bad-port", "can shop/web shop/api --port 65536" + input("pods.yaml"), 2},
		{"can-bad-protocol", "can shop/web shop/api --port 80 --protocol ICMP" + input("pods.yaml"), 2},
		{"can-bad-end", "can shop/web/1 shop/api --port 80" + input("pods.yaml"), 2},
		{"can-one-end", "can shop/web --port 80" + input("pods.yaml"), 2},
		{"unknown-command", "rendr", 2},
		{"checks-one", "checks dns-port", 0},
		{"checks-unknown", "checks dns-prot", 2},
		{"unknown-flag", "render --file shop.yaml", 2},
	} {
		t.Run(test.name, func(t *testing.T) { wantOutput(t, test.name, test.args, test.code) })
	}
}

// wantOutput runs a command and compares what it prints; more arguments are not named in the file.
func wantOutput(t *testing.T, name, args string, want int, more ...string) {
	t.Helper()
	stdout, stderr, code := run(t, "", append(strings.Fields(args), more...)...)
	if code != want {
		t.Errorf("exits with %d, want %d", code, want)
	}
	if code == 2 && stdout != "" {
		t.Errorf("prints to standard output and fails:\n%s", stdout)
	}
	text := fmt.Sprintf("$ kubectl apptier %s\n%s--- standard error\n%s--- exit %d\n", args, stdout, stderr, code)
	if name := goNames.FindString(text); name != "" {
		t.Errorf("%s is a name of Go's, which tells people nothing", name)
	}
	golden.Assert(t, text, filepath.Join("golden", name+".txt"))
}

// goNames are what the errors of the standard library begin with.
var goNames = regexp.MustCompile(`\b(netip|strconv|json|yaml|net|time|url|base64|unstructured|runtime)\.[A-Z]\w+|\bParse(Addr|Prefix|Int)\b`)

// Scripts depend on exit codes, so people must be able to look them up.
func TestHelpNamesEveryExitCode(t *testing.T) {
	for _, command := range []string{"render", "lint", "can", "import", "learn", "fn", "denied", "flows", "doctor"} {
		stdout, _, code := run(t, "", command, "--help")
		if code != 0 || !strings.Contains(stdout, "Exits with 0") || !strings.Contains(stdout, "Examples:") {
			t.Errorf("%s --help exits with %d and prints:\n%s", command, code, stdout)
		}
	}
}

// The library's message holds an absolute path, so it is in no golden file.
func TestNoKustomization(t *testing.T) {
	_, stderr, code := run(t, "", "render", "-k", "testdata/input")
	if code != 2 || !strings.Contains(stderr, "unable to find one of 'kustomization.yaml'") {
		t.Errorf("exits with %d: %s", code, stderr)
	}
}

func TestVersion(t *testing.T) {
	if stdout, _, code := run(t, "", "version"); code != 0 || strings.TrimSpace(stdout) == "" {
		t.Errorf("exits with %d and prints %q", code, stdout)
	}
}

// What the cluster has is asked for only with --cluster, and what could not be seen is said.
func TestVersionOfACluster(t *testing.T) {
	withoutKubeconfig(t)
	empty, forbidden := failing(t, http.StatusNotFound, metav1.StatusReasonNotFound), failing(t, http.StatusForbidden, metav1.StatusReasonForbidden)
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"version -o json --server " + forbidden, 0, `{"version":`},
		{"version --cluster", 2, "no cluster is configured"},
		{"version --cluster --server " + empty, 3, "enforcers  none"},
		{"version --cluster -o json --server " + forbidden, 3, `"managers": []`},
	} {
		stdout, stderr, code := run(t, "", strings.Fields(test.args)...)
		text := strings.ReplaceAll(stdout, "{\n  ", "{") + stderr
		if code != test.code || !strings.Contains(text, test.want) {
			t.Errorf("%s: exits with %d, want %d and %s:\n%s", test.args, code, test.code, test.want, text)
		}
	}
}

// printedCheck is a finding as text shows it: its severity, what it says, and its check.
var printedCheck = regexp.MustCompile(`(?m): (?:error|warning|note): .* \(([A-Za-z-]+)\)$`)

// Whatever a command prints as the name of a check is one that it can tell about.
func TestPrintedChecksAreInTheCatalogue(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	known := map[string]bool{}
	for _, entry := range lint.Catalogue() {
		known[string(entry.ID)] = true
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range printedCheck.FindAllStringSubmatch(string(text), -1) {
			if !known[match[1]] {
				t.Errorf("%s prints %q, which is no check", file, match[1])
			}
		}
	}
}
