package seen_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/golden"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/seen"
)

var now = time.Date(2026, 11, 30, 14, 2, 30, 0, time.UTC)

func TestMain(m *testing.M) {
	time.Local = time.UTC // what people see is in their time
	os.Exit(m.Run())
}

// run is what a process would print, and exit with. It looks again as often as ticks says.
func run(t *testing.T, ticks int, args ...string) string {
	t.Helper()
	streams, in, out, errOut := genericiooptions.NewTestIOStreams()
	saved, err := os.ReadFile("testdata/connections.json")
	if err != nil {
		t.Fatal(err)
	}
	in.Write(saved)
	clock := make(chan time.Time, ticks)
	for range ticks {
		clock <- now
	}
	close(clock)
	command := seen.At(streams, args[0], now, clock)
	command.SetArgs(args[1:])
	err = command.ExecuteContext(t.Context())
	exit.Report(errOut, err)
	return fmt.Sprintf("%s--- standard error\n%s--- exit %d\n", out.String(), errOut.String(), exit.Code(err))
}

// What people see is in testdata/golden, in files named after the cases.
func TestGolden(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	const saved = " -f testdata/connections.json"
	for name, args := range map[string]string{
		"denied":              "denied" + saved,
		"denied-wide":         "denied -o wide" + saved,
		"denied-json":         "denied -o json cleanup-1" + saved,
		"denied-tier":         "denied frontend" + saved,
		"denied-app-and-tier": "denied shop/database" + saved,
		"denied-workload":     "denied cronjob/cleanup" + saved,
		"denied-address":      "denied 198.51.100.7" + saved,
		"denied-since":        "denied --since 1m30s" + saved,
		"denied-namespace":    "denied -n bank" + saved,
		"denied-none":         "denied nobody --since 1h" + saved,
		"denied-stdin":        "denied -f - web-8c",
		"denied-partial":      "denied -f testdata/partial.json",
		"denied-partial-none": "denied -f testdata/partial-none.json",
		"flows":               "flows -n shop" + saved,
		"flows-api":           "flows api" + saved,
		"bad-output":          "denied -o xml" + saved,
		"bad-since":           "denied --since -1h" + saved,
		"bad-watch":           "denied -w" + saved,
		"bad-namespaces":      "denied -A -n shop",
		"no-cluster":          "denied -n shop",
		"denied-notes":        "denied -f testdata/notes.json",
		"bad-file":            "denied -f seen_test.go",
		"missing-file":        "denied -f testdata/missing.json",
	} {
		t.Run(name, func(t *testing.T) {
			golden.Assert(t, "$ kubectl apptier "+args+"\n"+run(t, 0, strings.Fields(args)...), filepath.Join("golden", name+".txt"))
		})
	}
}

// cluster answers with what it has, and notes what it is asked.
type cluster struct {
	mu    sync.Mutex
	asked []string
	next  []any // a list, or an error's code
	// gone are the pods that are not there any more.
	gone []string
}

// podsPath is where the pods of shop are.
const podsPath = "/api/v1/namespaces/shop/pods/"

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if pod, isPod := strings.CutPrefix(r.URL.Path, podsPath); isPod {
		body := `{"kind":"Pod","apiVersion":"v1"}`
		if slices.Contains(c.gone, pod) {
			w.WriteHeader(http.StatusNotFound)
			body = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`
		}
		_, _ = w.Write([]byte(body))
		return
	}
	c.asked = append(c.asked, strings.TrimRight(strings.ReplaceAll(r.URL.RequestURI(), "timeout=15s", ""), "?&"))
	answer := c.next[0]
	if len(c.next) > 1 {
		c.next = c.next[1:]
	}
	if code, isError := answer.(int); isError {
		w.WriteHeader(code)
		answer = map[string]any{
			"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "what the server says",
			"reason": map[int]string{403: "Forbidden", 404: "NotFound", 503: "ServiceUnavailable", 500: "InternalError"}[code],
		}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// answering runs a cluster that gives these answers in turn, and returns flags that lead there.
func answering(t *testing.T, answers ...any) (*cluster, []string) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	c := &cluster{next: answers}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, []string{"--server", server.URL}
}

func saved(t *testing.T) connections.ConnectionList {
	t.Helper()
	text, err := os.ReadFile("testdata/connections.json")
	if err != nil {
		t.Fatal(err)
	}
	var list connections.ConnectionList
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAsksTheAPI(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"denied -n shop", "/apis/connections.apptier.dev/v1alpha1/namespaces/shop/connections?since=2026-11-30T13%3A02%3A30Z"},
		{"denied -n shop --since 0", "/apis/connections.apptier.dev/v1alpha1/namespaces/shop/connections"},
		{"flows -A --since 10m", "/apis/connections.apptier.dev/v1alpha1/connections?since=2026-11-30T13%3A52%3A30Z"},
	} {
		c, flags := answering(t, saved(t))
		text := run(t, 0, append(strings.Fields(test.args), flags...)...)
		if len(c.asked) != 1 || c.asked[0] != test.want || !strings.Contains(text, "shop/web-7f (tier frontend) → shop/pg-0") {
			t.Errorf("%s asks %v and prints %s", test.args, c.asked, text)
		}
	}
}

// An error says what to do, and does not read as if nothing had been denied.
func TestErrorsTeach(t *testing.T) {
	for code, want := range map[int]string{
		403: "the right to list AppTiers in namespace shop",
		404: "kubectl get apiservice v1alpha1.connections.apptier.dev",
		503: "kubectl apptier doctor",
		500: "what the server says",
	} {
		_, flags := answering(t, code)
		text := run(t, 0, append([]string{"denied", "-n", "shop"}, flags...)...)
		if !strings.Contains(text, want) || !strings.HasSuffix(text, "--- exit 2\n") || strings.Contains(text, "No connection") {
			t.Errorf("%d: %s", code, text)
		}
	}
}

// Each second it prints what is new or was seen again, and nothing twice; trouble and what is missing are said once.
func TestWatch(t *testing.T) {
	first := saved(t)
	again := saved(t)
	again.Items[0].Count += 5
	again.Items[0].Last.Time = again.Items[0].Last.Add(10 * time.Second)
	again.Missing = []connections.Missing{{Node: "n4", Reason: "its enforcer did not answer in time", Count: 1}}
	still := *again.DeepCopy()
	still.Missing[0].Count = 2
	for _, output := range []string{"table", "json"} {
		c, flags := answering(t, first, 503, 503, again, still)
		text := run(t, 5, append([]string{"denied", "-n", "shop", "-w", "--since", "5m", "-o", output}, flags...)...)
		golden.Assert(t, text, filepath.Join("golden", "watch-"+output+".txt"))
		if last := c.asked[len(c.asked)-1]; !strings.HasSuffix(last, "since=2026-11-30T14%3A01%3A47.25Z") || len(c.asked) != 6 {
			t.Errorf("asks %q", c.asked)
		}
	}
}

// Of a pod that is gone, and that nothing else stands for, it prints no command: that would have no answer.
func TestNothingToExplain(t *testing.T) {
	c, flags := answering(t, saved(t))
	const command = "kubectl apptier explain shop/cleanup-1 bank/statefulset/ledger --port 443"
	for gone, want := range map[string]string{"": command, "cleanup-1": "pod shop/cleanup-1 is gone"} {
		c.gone = []string{gone}
		text := run(t, 0, append(strings.Fields("denied -n shop --since 0"), flags...)...)
		if !strings.Contains(text, want) || strings.Contains(text, command) != (want == command) {
			t.Errorf("%q is gone: %s", gone, text)
		}
	}
}

// The shell offers tiers and pods of the namespace.
func TestCompletes(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body := `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"web-1"}},{"metadata":{"name":"db-0"}}]}`
		if r.URL.Path == "/apis/policy.apptier.dev/v1alpha1/namespaces/shop/apptiers" {
			body = `{"kind":"AppTierList","apiVersion":"policy.apptier.dev/v1alpha1","items":[{"spec":{"tiers":[{"name":"web"},{"name":"api"}]}}]}`
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	command := seen.NewDenied(streams)
	if err := command.ParseFlags([]string{"--server", server.URL, "-n", "shop"}); err != nil {
		t.Fatal(err)
	}
	command.SetContext(t.Context())
	if names, _ := command.ValidArgsFunction(command, nil, "w"); strings.Join(names, " ") != "web web-1" {
		t.Errorf("completes %v", names)
	}
}
