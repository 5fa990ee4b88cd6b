package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/internal/testenv/apiserver"
)

// realCluster is a real API server with the objects of a file, asked by the plugin as kubectl asks.
type realCluster struct {
	*testing.T
	client.Client
}

func startCluster(t *testing.T, file string) realCluster {
	config, environment := apiserver.Start(t)
	user, err := environment.AddUser(envtest.User{Name: "reader", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	api, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := realCluster{t, api}
	objects := objectsOf(t, file)
	slices.SortStableFunc(objects, func(a, b unstructured.Unstructured) int { return len(a.GetNamespace()) - len(b.GetNamespace()) }) // namespaces first
	for i := range objects {
		c.create(&objects[i])
	}
	return c
}

// create creates an object, with the status that it has: nobody runs its pods.
func (c realCluster) create(o *unstructured.Unstructured) {
	c.Helper()
	status, hasStatus := o.Object["status"]
	if err := c.Create(c.Context(), o); err != nil && !errors.IsAlreadyExists(err) {
		c.Fatalf("creating %s %s: %v", o.GetKind(), o.GetName(), err)
	}
	if !hasStatus {
		return
	}
	o.Object["status"] = status
	if err := c.Status().Update(c.Context(), o); err != nil {
		c.Fatalf("writing the status of %s %s: %v", o.GetKind(), o.GetName(), err)
	}
}

// manage has the policies of the AppTiers in the cluster, as the manager would.
func (c realCluster) manage() {
	c.Helper()
	stdout, stderr, code := run(c.T, "", "render", "--cluster", "-A")
	if code != 0 {
		c.Fatalf("rendering exits with %d: %s", code, stderr)
	}
	for document := range strings.SplitSeq(stdout, "---\n") {
		var policy unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(document), &policy.Object); err != nil {
			c.Fatal(err)
		}
		if len(policy.Object) == 0 {
			continue
		}
		err := c.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(&policy), client.FieldOwner("test"), client.ForceOwnership)
		if err != nil {
			c.Fatal(err)
		}
	}
}

// do does what explain says to add.
func (c realCluster) do(what added) {
	c.Helper()
	for _, connection := range what.Connections {
		for _, add := range connection.Add {
			if add.Manifest != nil {
				c.create(&unstructured.Unstructured{Object: add.Manifest})
				continue
			}
			kind, name, _ := strings.Cut(add.Object, " ")
			app := unstructured.Unstructured{Object: map[string]any{"apiVersion": "policy.apptier.dev/v1alpha1", "kind": kind}}
			namespace, name, _ := strings.Cut(name, "/")
			app.SetNamespace(namespace)
			app.SetName(name)
			if err := c.Patch(c.Context(), &app, client.RawPatch(types.JSONPatchType, add.Patch)); err != nil {
				c.Fatalf("patching %s: %v: %s", add.Object, err, add.Patch)
			}
		}
	}
}

// In a real cluster the answers are the same as of the manifests, and the API server takes what
// explain says to add; then the connection is allowed.
func TestARealCluster(t *testing.T) {
	c := startCluster(t, "explain.yaml")
	c.manage()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			files, _, _ := run(t, "", strings.Fields("explain "+q.ends+input("explain.yaml"))...)
			live, stderr, code := run(t, "", strings.Fields("explain "+q.ends)...)
			if code != q.code || uncited(live) != uncited(files) || strings.Contains(live, ".tier.") {
				t.Errorf("exits with %d, want %d, and prints:\n%s%s\nof the manifests:\n%s", code, q.code, live, stderr, files)
			}
		})
	}
	for _, q := range questions {
		if q.code != 1 {
			continue
		}
		t.Run(q.name+" done", func(t *testing.T) {
			c := realCluster{t, c.Client}
			stdout, _, _ := run(t, "", strings.Fields("explain -o json "+q.ends)...)
			var what added
			if err := json.Unmarshal([]byte(stdout), &what); err != nil {
				t.Fatal(err)
			}
			if what.hasAlike() {
				return // no label tells the pod from others, and that is said
			}
			c.do(what)
			c.manage()
			if stdout, stderr, code := run(t, "", strings.Fields("can "+q.ends)...); code != 0 {
				t.Errorf("exits with %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

// What explain says of a real cluster holds as a case.
func TestCasesOfARealCluster(t *testing.T) {
	c := startCluster(t, "explain.yaml")
	c.manage()
	var text strings.Builder
	asked := 0
	for i, q := range questions {
		if q.code > 1 || q.name == "host-network" {
			continue // nobody can say, or the answer is another for each pod: explain tells of one that is denied
		}
		var o struct{ namespace, port, protocol string }
		flags := pflag.NewFlagSet("question", pflag.ContinueOnError)
		flags.StringVarP(&o.namespace, "namespace", "n", "default", "")
		flags.StringVar(&o.port, "port", "", "")
		flags.StringVar(&o.protocol, "protocol", "tcp", "")
		if err := flags.Parse(strings.Fields(q.ends)); err != nil || flags.NArg() != 2 {
			continue // about one end alone
		}
		ports := ""
		if o.port != "" {
			ports = fmt.Sprintf(", ports: [%s/%s]", o.port, o.protocol)
		}
		asked++
		fmt.Fprintf(&text, "---\napiVersion: test.apptier.dev/v1alpha1\nkind: ConnectionTest\nmetadata: {name: q%d, namespace: %s}\ncases: [{name: %s, from: %q, to: %q%s, expect: %s}]\n",
			i, o.namespace, q.name, flags.Arg(0), flags.Arg(1), ports, []string{"allow", "deny"}[q.code])
	}
	if asked < 10 {
		t.Fatalf("only %d questions are cases", asked)
	}
	if stdout, stderr, code := run(t, text.String(), "test", "-f", "-", "--cluster"); code != 0 {
		t.Errorf("exits with %d: %s%s", code, stdout, stderr)
	}
}

// What applying a file would change in a cluster is what it changes beside the manifests that the cluster is of.
func TestDifferenceOfARealCluster(t *testing.T) {
	c := startCluster(t, "explain.yaml")
	c.manage()
	same, stderr, code := run(t, "", "diff", "--cluster", "testdata/input/explain.yaml")
	if code != 0 || same != "no connection is opened or closed\n" {
		t.Errorf("the same: exits with %d: %s%s", code, same, stderr)
	}
	text, err := os.ReadFile("testdata/input/explain.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "changed.yaml")
	if err := os.WriteFile(changed, bytes.ReplaceAll(text, []byte("name: http, port: 8080"), []byte("name: http, port: 8082")), 0o600); err != nil {
		t.Fatal(err)
	}
	files, _, _ := run(t, "", "diff", "testdata/input/explain.yaml", changed)
	live, stderr, code := run(t, "", "diff", "--cluster", changed)
	if code != 0 || !strings.Contains(live, "TCP 8082") || !strings.Contains(files, "TCP 8082") {
		t.Errorf("exits with %d: %s%s\nof the files:\n%s", code, live, stderr, files)
	}
}

// citations are of a line of the file, or of an AppTier of a cluster, which has no lines.
var citations = regexp.MustCompile(`(testdata/input/explain\.yaml:\d+|AppTier [a-z]+/[a-z]+) +|  +|^ +`)

// uncited is a text with what it cites by the field's path alone, and without the widths of columns.
func uncited(text string) string { return citations.ReplaceAllString(text, "") }

// lint judges a real cluster as one whose objects come from the file that it was filled from.
func TestLintOfARealCluster(t *testing.T) {
	startCluster(t, "lint-cluster.yaml")
	got := lintFindings(t)
	withoutKubeconfig(t)
	server, _ := apiServer(t, "lint-cluster.yaml")
	if diff := cmp.Diff(lintFindings(t, "--server", server), got); diff != "" {
		t.Errorf("differs (-file +cluster):\n%s", diff)
	}
}

// A cluster says which addresses are those of Services.
func TestTheRangeOfServicesOfARealCluster(t *testing.T) {
	startCluster(t, "lint-cluster.yaml")
	policy := `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: services, namespace: default}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/25}}]}]}
`
	for cidr, warns := range map[string]bool{"10.0.0.0/25": true, "10.0.0.0/23": false} {
		stdout, stderr, _ := run(t, strings.ReplaceAll(policy, "10.0.0.0/25", cidr), "lint", "--cluster", "-f", "-")
		if strings.Contains(stdout, cidr+" holds only addresses of Services") != warns {
			t.Errorf("%s: want a warning %v: %s%s", cidr, warns, stdout, stderr)
		}
	}
}

// lintFindings are what lint finds in a cluster, whatever order it lists its objects in.
func lintFindings(t *testing.T, more ...string) []string {
	t.Helper()
	stdout, stderr, code := run(t, "", append([]string{"lint", "--cluster", "-A", "-o", "github"}, more...)...)
	if code != 1 {
		t.Fatalf("exits with %d: %s%s", code, stdout, stderr)
	}
	return slices.Sorted(strings.SplitSeq(stdout, "\n"))
}
