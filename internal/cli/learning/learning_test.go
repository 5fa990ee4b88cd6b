package learning_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/golden"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/learning"
)

// run is what the command prints, and exits with.
func run(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	streams, in, out, errOut := genericiooptions.NewTestIOStreams()
	in.WriteString(stdin)
	command := learning.NewCommand(streams)
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetArgs(args)
	err := command.ExecuteContext(t.Context())
	exit.Report(errOut, err)
	return out.String(), errOut.String(), exit.Code(err)
}

// What people see is in testdata/golden, in files named after the cases.
func TestGolden(t *testing.T) {
	const manifests = " -f testdata/shop.yaml"
	for _, test := range []struct {
		name, args string
		code       int
	}{
		{"hubble", "testdata/flows.jsonl -n shop" + manifests, 0},
		{"hubble-all", "testdata/flows.jsonl" + manifests, 0},
		{"hubble-alone", "testdata/flows.jsonl -n shop", 0},
		{"hubble-json", "testdata/flows.jsonl -n shop -o json" + manifests, 0},
		{"connections", "testdata/connections.json" + manifests, 0},
		{"include-denied", "testdata/connections.json --include-denied" + manifests, 0},
		{"both", "testdata/connections.json testdata/flows.jsonl -n shop" + manifests, 0},
		{"again", "testdata/flows.jsonl -n shop -f testdata/declared.yaml" + manifests, 0},
		{"again-json", "testdata/flows.jsonl -n shop -o json -f testdata/declared.yaml" + manifests, 0},
		{"leave-out", "testdata/flows.jsonl -n shop --doubtful leave-out" + manifests, 0},
		{"min-count", "testdata/flows.jsonl -n shop --min-count 4 --doubtful leave-out" + manifests, 0},
		{"many-addresses", "testdata/flows.jsonl -n shop --max-addresses 5" + manifests, 0},
		{"fail-on-doubtful", "testdata/flows.jsonl -n shop --fail-on doubtful -o json" + manifests, 1},
		{"cut-off", "testdata/cut-off.jsonl" + manifests, 2},
		{"not-flows", "testdata/not-flows.json", 2},
		{"no-file", "testdata/absent.jsonl", 2},
		{"manifests-as-flows", "testdata/shop.yaml", 2},
		{"bad-output", "-o table testdata/flows.jsonl", 2},
		{"bad-doubtful", "--doubtful no testdata/flows.jsonl", 2},
		{"bad-fail-on", "--fail-on never testdata/flows.jsonl", 2},
		{"bad-min-count", "--min-count 0 testdata/flows.jsonl", 2},
		{"bad-max-addresses", "--max-addresses -1 testdata/flows.jsonl", 2},
		{"both-from-stdin", "- -f -", 2},
		{"stdin-twice", "- testdata/flows.jsonl -", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, code := run(t, "", strings.Fields(test.args)...)
			if code != test.code {
				t.Errorf("exits with %d, want %d", code, test.code)
			}
			text := fmt.Sprintf("$ kubectl apptier learn %s\n%s--- standard error\n%s--- exit %d\n", test.args, stdout, stderr, code)
			golden.Assert(t, text, filepath.Join("golden", test.name+".txt"))
		})
	}
}

// Once what was learned is applied, the same connections add nothing: neither to a new AppTier nor to one that was there.
func TestLearningAgainAddsNothing(t *testing.T) {
	for _, before := range []string{"", "testdata/declared.yaml"} {
		args := []string{"testdata/flows.jsonl", "-n", "shop", "-f", "testdata/shop.yaml"}
		first := args
		if before != "" {
			first = append(args[:len(args):len(args)], "-f", before)
		}
		learned, _, code := run(t, "", first...)
		if code != 0 || learned == "" {
			t.Fatalf("exits with %d and prints %q", code, learned)
		}
		again, stderr, code := run(t, learned, append(args, "-f", "-", "--fail-on", "added")...)
		if code != 0 || again != "" || !strings.Contains(stderr, "all are declared already") {
			t.Errorf("after %q: exits with %d:\n%s%s", before, code, again, stderr)
		}
	}
}

// Programs read what learn prints, so each of its fields is in its page.
func TestFieldsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/learn.md")
	if err != nil {
		t.Fatal(err)
	}
	stdout, _, _ := run(t, "", "testdata/connections.json", "-o", "json", "-f", "testdata/shop.yaml")
	var printed map[string]any
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil {
		t.Fatal(err)
	}
	wantDocumented := func(of map[string]any) {
		for field := range of {
			if !strings.Contains(string(page), "`"+field+"`") {
				t.Errorf("docs/learn.md does not say what %s is", field)
			}
		}
	}
	wantDocumented(printed)
	for _, list := range []string{"grounds", "leftOut"} {
		if len(printed[list].([]any)) == 0 {
			t.Errorf("there are no %s", list)
		}
		for _, item := range printed[list].([]any) {
			wantDocumented(item.(map[string]any))
		}
	}
}

// Without a file, the connections come from the cluster, of the namespace that is given.
func TestAsksTheCluster(t *testing.T) {
	list, err := os.ReadFile("testdata/connections.json")
	if err != nil {
		t.Fatal(err)
	}
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasPrefix(r.URL.Path, "/apis/connections.apptier.dev/") {
			asked = r.URL.Path
			_, err = w.Write(list)
		} else {
			_, err = w.Write([]byte(`{"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []}`))
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	stdout, stderr, code := run(t, "", "--server", server.URL, "-n", "shop", "-f", "testdata/shop.yaml")
	if code != 0 || !strings.Contains(stdout, "name: db") {
		t.Errorf("exits with %d:\n%s%s", code, stdout, stderr)
	}
	if want := "/apis/connections.apptier.dev/v1alpha1/namespaces/shop/connections"; asked != want {
		t.Errorf("asks for %s, not %s", asked, want)
	}
}

// A cluster without the API for connections is told apart from one that cannot be reached, and what to do instead is said.
func TestClusterKnowsNoConnections(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, stderr, code := run(t, "", "--server", server.URL)
	if code != 2 || !strings.Contains(stderr, "give a file with connections") {
		t.Errorf("exits with %d: %s", code, stderr)
	}
}

// example is a command of the page, with what it prints on standard output and on standard error.
var example = regexp.MustCompile("(?s)```sh\nkubectl apptier learn ([^\n]*testdata[^\n]*)\n```\n\n```yaml\n(.*?)```.*?```text\n(.*?)```")

// The page shows what the command prints.
func TestPageShowsWhatIsPrinted(t *testing.T) {
	t.Chdir("../../..")
	page, err := os.ReadFile("docs/learn.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := example.FindStringSubmatch(string(page))
	if shown == nil {
		t.Fatal("docs/learn.md shows no example")
	}
	stdout, stderr, code := run(t, "", strings.Fields(shown[1])...)
	if code != 0 || stdout != shown[2] || stderr != shown[3] {
		t.Errorf("kubectl apptier learn %s exits with %d and prints something else:\n%s%s", shown[1], code, stdout, stderr)
	}
}

// jobsOf are manifests of a CronJob and of the Jobs of its runs, as far as they are named.
func jobsOf(t *testing.T, cronJob string, jobs ...string) string {
	t.Helper()
	const template = "template: {metadata: {labels: {app: report}}, spec: {restartPolicy: Never, containers: [{name: main, image: a}]}}"
	var text strings.Builder
	if cronJob != "" {
		fmt.Fprintf(&text, "---\n{apiVersion: batch/v1, kind: CronJob, metadata: {namespace: shop, name: %s}, "+
			"spec: {schedule: 0 2 * * *, jobTemplate: {spec: {%s}}}}\n", cronJob, template)
	}
	for _, job := range jobs {
		fmt.Fprintf(&text, "---\n{apiVersion: batch/v1, kind: Job, metadata: {namespace: shop, name: %s, ownerReferences: "+
			"[{apiVersion: batch/v1, kind: CronJob, name: report, uid: a, controller: true}]}, spec: {%s}}\n", job, template)
	}
	return text.String()
}

// The runs of a CronJob are one workload: by the owners of their Jobs, or by their names if there is such a CronJob.
func TestRunsOfACronJobAreOneWorkload(t *testing.T) {
	const one = `{"apiVersion":"connections.apptier.dev/v1alpha1","kind":"Connection","metadata":{"name":%q,"namespace":"shop"},
		"first":"2026-11-30T02:00:00.000000Z","last":"2026-11-30T02:00:00.000000Z","count":1,"verdict":"Allowed",
		"source":{"address":"10.0.0.9","namespace":"shop","pod":"%[1]s-abcde","workload":"Job/%[1]s"},
		"destination":{"address":"10.0.0.3","namespace":"shop","pod":"shop-db-0","workload":"StatefulSet/shop-db"},
		"protocol":"TCP","port":5432,"node":"n1"}`
	for _, test := range []struct {
		name      string
		manifests string
		seen      []string
		isOne     bool
	}{
		{"by the name, of a CronJob that there is", jobsOf(t, "report"), []string{"report-29933400", "report-29934840"}, true},
		{"by their owner", jobsOf(t, "", "report-now", "report-29934840"), []string{"report-now", "report-29934840"}, true},
		{"by their owner, with the CronJob", jobsOf(t, "report", "report-now"), []string{"report-now", "report-29934840"}, true},
		{"by the name alone", jobsOf(t, "other"), []string{"report-29933400", "report-29934840"}, false},
	} {
		file := filepath.Join(t.TempDir(), "jobs.yaml")
		if err := os.WriteFile(file, []byte(test.manifests), 0o600); err != nil {
			t.Fatal(err)
		}
		var seen strings.Builder
		for _, job := range test.seen {
			seen.WriteString(strings.ReplaceAll(fmt.Sprintf(one, job), "\n", "") + "\n")
		}
		stdout, stderr, _ := run(t, seen.String(), "-", "-n", "shop", "-f", "testdata/shop.yaml", "-f", file, "-o", "json")
		var out struct {
			Grounds []struct {
				Peer        string
				Connections int64
			}
		}
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			t.Fatalf("%s: %v: %s", test.name, err, stderr)
		}
		isOne := len(out.Grounds) == 1 && out.Grounds[0].Peer == "report"
		if isOne != test.isOne {
			t.Errorf("%s: is one: %v\n%s%s", test.name, isOne, stdout, stderr)
		}
	}
}

// What no AppTier can declare is not declared already.
func TestWhatIsLeftOutIsNotDeclared(t *testing.T) {
	const flow = `{"flow":{"verdict":"FORWARDED","IP":{"source":"10.0.0.1","destination":"10.0.0.2"},"is_reply":false,` +
		`"l4":{"TCP":{"destination_port":80}},"source":{"namespace":"shop","pod_name":"web-1","labels":["k8s:app=web"]},` +
		`"destination":{"namespace":"shop","pod_name":"api-1","labels":["k8s:app=no value"]}}}`
	stdout, stderr, code := run(t, flow, "-")
	if code != 0 || stdout != "" || !strings.HasSuffix(stderr, "1 connection: nothing to declare; 1 left out\n") {
		t.Errorf("exits with %d:\n%s%s", code, stdout, stderr)
	}
}
