package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// apiServer serves lists of the objects in a file, and of one more policy.
func apiServer(t *testing.T, file, policyFile string) string {
	t.Helper()
	lists := map[string][]any{}
	var list struct{ Items []map[string]any }
	read(t, file, &list)
	for _, item := range list.Items {
		path := "/api/v1/" + strings.ToLower(item["kind"].(string)) + "s"
		lists[path] = append(lists[path], item)
	}
	var policy networkingv1.NetworkPolicy
	read(t, policyFile, &policy)
	lists["/apis/networking.k8s.io/v1/networkpolicies"] = []any{policy}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		items, found := lists[r.URL.Path]
		if !found {
			http.Error(w, "no such list", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]any{"metadata": map[string]any{}, "items": items}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "input", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// Without input the cluster is asked, in the way that kubectl is configured to.
func TestCanAsksTheCluster(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HOME", t.TempDir())
	server := apiServer(t, "pods.yaml", "own-policy.yaml")
	for _, test := range []struct {
		source string
		code   int
		want   string
	}{
		{"198.51.100.7", 0, "shop/db-from-web ingress[1].from[0] ports[0]"},
		{"web", 1, "isolated by shop/db-from-web"},
		{"nobody", 3, "pod shop/nobody is not in the snapshot"},
	} {
		stdout, stderr, code := run(t, "", "can", test.source, "db", "--port", "5432", "-n", "shop", "--server", server)
		if code != test.code || !strings.Contains(stdout, test.want) {
			t.Errorf("from %s: exits with %d, want %d and %q:\n%s%s", test.source, code, test.code, test.want, stdout, stderr)
		}
	}
}

func TestCanWithoutACluster(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HOME", t.TempDir())
	_, stderr, code := run(t, "", "can", "a", "b", "--port", "80", "--server", "http://127.0.0.1:1")
	if code != 2 || !strings.Contains(stderr, "listing namespaces") {
		t.Errorf("exits with %d, want 2:\n%s", code, stderr)
	}
}
