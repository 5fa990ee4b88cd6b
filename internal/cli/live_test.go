package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// discovered is what the server says that it serves: no policies but NetworkPolicies.
var discovered = map[string]any{
	"/api":    map[string]any{"kind": "APIVersions", "versions": []string{"v1"}},
	"/apis":   map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}},
	"/api/v1": map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": []any{}},
}

// apiServer serves the objects of files of testdata/input, each by its name and in lists, and returns
// its address and the paths that are asked for.
func apiServer(t *testing.T, files ...string) (address string, asked *[]string) {
	t.Helper()
	objects := map[string][]unstructured.Unstructured{} // by the path of their lists in all namespaces
	for _, file := range files {
		for _, o := range objectsOf(t, file) {
			objects[listPath(o.GroupVersionKind())] = append(objects[listPath(o.GroupVersionKind())], o)
		}
	}
	asked = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, isDiscovery := discovered[r.URL.Path]; isDiscovery {
			answerJSON(t, w, http.StatusOK, body)
			return
		}
		*asked = append(*asked, r.URL.Path)
		list, namespace, name := dissect(r.URL.Path)
		selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
		if err != nil {
			t.Error(err)
		}
		items := []any{}
		for _, o := range objects[list] {
			switch {
			case name != "" && o.GetNamespace() == namespace && o.GetName() == name:
				answerJSON(t, w, http.StatusOK, o.Object)
				return
			case name == "" && (namespace == "" || o.GetNamespace() == namespace) && selector.Matches(labels.Set(o.GetLabels())):
				items = append(items, o.Object)
			}
		}
		if name != "" {
			answerJSON(t, w, http.StatusNotFound, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound})
			return
		}
		answerJSON(t, w, http.StatusOK, map[string]any{"kind": listKinds[path.Base(list)], "apiVersion": version(list), "metadata": map[string]any{}, "items": items})
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func answerJSON(t *testing.T, w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		t.Error(err)
	}
}

// objectsOf are the objects of a file: its documents, or the items of those that are lists.
func objectsOf(t *testing.T, file string) []unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "input", file))
	if err != nil {
		t.Fatal(err)
	}
	var objects []unstructured.Unstructured
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var o unstructured.Unstructured
		if err := yaml.Unmarshal(document, &o.Object); err != nil {
			t.Fatal(err)
		}
		if !o.IsList() {
			objects = append(objects, o)
			continue
		}
		list, err := o.ToList()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, list.Items...)
	}
	return objects
}

// listKinds are the kinds of lists, by resource.
var listKinds = map[string]string{
	"apptiers": "AppTierList", "stagednetworkpolicies": "StagedNetworkPolicyList", "endpointslices": "EndpointSliceList", "namespaces": "NamespaceList", "networkpolicies": "NetworkPolicyList",
	"nodes": "NodeList", "pods": "PodList", "services": "ServiceList",
}

// version is the API version that the path of a list says.
func version(list string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path.Dir(list), "/apis/"), "/api/")
}

func listPath(kind schema.GroupVersionKind) string {
	prefix := "/apis/"
	if kind.Group == "" {
		prefix = "/api/"
	}
	resource := strings.ToLower(kind.Kind) + "s"
	if kind.Kind == "NetworkPolicy" {
		resource = "networkpolicies"
	}
	return prefix + kind.GroupVersion().String() + "/" + resource
}

// dissect takes a path such as /apis/apps/v1/namespaces/shop/deployments/web apart.
func dissect(url string) (list, namespace, name string) {
	parts := strings.Split(strings.Trim(url, "/"), "/")
	base := 2
	if parts[0] == "apis" {
		base = 3
	}
	rest := parts[base:]
	if rest[0] == "namespaces" && len(rest) > 2 {
		namespace, rest = rest[1], rest[2:]
	}
	if len(rest) > 1 {
		name = rest[1]
	}
	return "/" + strings.Join(parts[:base], "/") + "/" + rest[0], namespace, name
}

// withoutKubeconfig keeps a test away from any cluster that kubectl is configured for.
func withoutKubeconfig(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HOME", t.TempDir())
}

// Without input the cluster is asked, in the way that kubectl is configured to.
func TestCanAsksTheCluster(t *testing.T) {
	withoutKubeconfig(t)
	server, _ := apiServer(t, "pods.yaml", "own-policy.yaml")
	for _, test := range []struct {
		source string
		code   int
		want   string
	}{
		{"198.51.100.7", 0, "shop/db-from-web ingress[1].from[0] ports[0]"},
		{"web", 1, "isolated by shop/db-from-web"},
		{"nobody", 3, "there is no pod shop/nobody"},
	} {
		stdout, stderr, code := run(t, "", "can", test.source, "db", "--port", "5432", "-n", "shop", "--server", server)
		if code != test.code || !strings.Contains(stdout, test.want) {
			t.Errorf("from %s: exits with %d, want %d and %q:\n%s%s", test.source, code, test.code, test.want, stdout, stderr)
		}
	}
}

func TestCanWithoutACluster(t *testing.T) {
	withoutKubeconfig(t)
	_, stderr, code := run(t, "", "can", "a", "b", "--port", "80", "--server", "http://127.0.0.1:1")
	if code != 2 || !strings.Contains(stderr, "listing namespaces") {
		t.Errorf("exits with %d, want 2:\n%s", code, stderr)
	}
}

// Who has no cluster is told what to give instead.
func TestNoClusterIsConfigured(t *testing.T) {
	withoutKubeconfig(t)
	for _, command := range []string{"can a b --port 80", "lint --cluster", "explain a b --port 80", "render --cluster"} {
		_, stderr, code := run(t, "", strings.Fields(command)...)
		if code != 2 || !strings.Contains(stderr, "no cluster is configured") || !strings.Contains(stderr, "-f") {
			t.Errorf("%s exits with %d: %s", command, code, stderr)
		}
	}
}

// Wherever the objects are, they mean the same: in files, in a cluster, or some here and some there.
func TestRenderIsTheSameFromFilesAndFromACluster(t *testing.T) {
	withoutKubeconfig(t)
	want, stderr, code := run(t, "", strings.Fields("render"+input("references.yaml", "live.yaml"))...)
	if code != 0 || stderr != "" {
		t.Fatalf("exits with %d: %s", code, stderr)
	}
	for _, test := range []struct {
		name    string
		cluster []string
		args    string
	}{
		{"all of it is live", []string{"references.yaml", "live.yaml"}, "-A"},
		{"AppTiers in files", []string{"live.yaml"}, input("references.yaml")},
		{"AppTiers in both", []string{"references.yaml", "live.yaml"}, input("references.yaml")},
		{"everything in both", []string{"references.yaml", "live.yaml"}, input("references.yaml", "live.yaml")},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, _ := apiServer(t, test.cluster...)
			got, stderr, code := run(t, "", strings.Fields("render --cluster --server "+server+" "+test.args)...)
			if code != 0 || stderr != "" {
				t.Fatalf("exits with %d: %s", code, stderr)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("differs (-files +cluster):\n%s", diff)
			}
		})
	}
}

// The namespace is kubectl's, and what is not there is told with the AppTier's name: it has no file.
func TestRenderOfOneLiveNamespace(t *testing.T) {
	withoutKubeconfig(t)
	server, _ := apiServer(t, "references.yaml")
	stdout, stderr, code := run(t, "", "render", "--cluster", "-o", "name", "-n", "frontend", "--server", server)
	if code != 0 || stdout != "networkpolicy.networking.k8s.io/site.tier.web\n" {
		t.Errorf("exits with %d and prints:\n%s", code, stdout)
	}
	want := "the cluster: warning: AppTier frontend/site: spec.tiers[0].egress[0].to[1].service: there is no Service cache/redis (unknown-reference)\n"
	if !strings.Contains(stderr, want) {
		t.Errorf("standard error lacks %q:\n%s", want, stderr)
	}
}

func TestInvalidAppTiersOfTheClusterStandForNobody(t *testing.T) {
	withoutKubeconfig(t)
	server, _ := apiServer(t, "invalid-orders.yaml")
	_, stderr, code := run(t, "", strings.Fields("render --cluster --server "+server+input("site.yaml"))...)
	if want := "there is no valid AppTier backend/orders (unknown-reference)"; code != 0 || !strings.Contains(stderr, want) {
		t.Errorf("exits with %d, want 0 and %q:\n%s", code, want, stderr)
	}
	_, stderr, code = run(t, "", "render", "--cluster", "-A", "--server", server)
	if want := "the cluster: error: AppTier backend/orders: spec.tiers[0].podSelector"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exits with %d, want 1 and %q:\n%s", code, want, stderr)
	}
}

// A cluster may be large, and a reader's permissions small.
func TestOnlyWhatIsReferredToIsRead(t *testing.T) {
	withoutKubeconfig(t)
	for _, test := range []struct {
		name, file string
		want       []string
	}{
		{"nothing but DNS", "shop.yaml", []string{"/api/v1/namespaces/kube-system/pods", "/api/v1/namespaces/kube-system/services/kube-dns"}},
		{"a Service", "workloads.yaml", []string{"/api/v1/namespaces/app/pods", "/api/v1/namespaces/app/services/behind"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, asked := apiServer(t, "live.yaml")
			if _, stderr, code := run(t, "", strings.Fields("render --cluster --server "+server+input(test.file))...); code != 0 {
				t.Fatalf("exits with %d: %s", code, stderr)
			}
			slices.Sort(*asked)
			if diff := cmp.Diff(test.want, *asked); diff != "" {
				t.Errorf("asks for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRenderWithoutACluster(t *testing.T) {
	withoutKubeconfig(t)
	for args, want := range map[string]string{
		"":                       "listing AppTiers: ",
		input("references.yaml"): "reading Service cache/redis: ",
	} {
		_, stderr, code := run(t, "", strings.Fields("render --cluster --server http://127.0.0.1:1"+args)...)
		if code != 2 || !strings.Contains(stderr, "error: "+want) {
			t.Errorf("exits with %d, want 2 and %q:\n%s", code, want, stderr)
		}
	}
}

// The shell completes namespaces by those of the cluster that the command line means.
func TestNamespacesAreCompleted(t *testing.T) {
	address, _ := apiServer(t, "explain.yaml")
	stdout, stderr, code := run(t, "", "__complete", "can", "--server", address, "-n", "s")
	if code != 0 || !strings.HasPrefix(stdout, "shop\n:4") {
		t.Errorf("exits with %d: %s%s", code, stdout, stderr)
	}
}
