package cli_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// questions are about testdata/input/explain.yaml: every kind of end, of isolation, and of what there is
// to add. code is what both can and explain exit with.
var questions = []struct {
	name, ends string
	code       int
}{
	{"tiers-of-one", "deployment/web service/db -n shop", 1},
	{"receiver-accepts-everyone", "shop/pod/free deployment/web --port http -n shop", 0},
	{"sender-is-not-declared", "service/db tier/shop/free -n shop --port 80", 1},
	{"one-owner-agrees", "edge/proxy-0 shop/pod/free --port 80", 1},
	{"no-owner-agrees", "edge/proxy-0 tier/shop/db -n shop --port pg", 1},
	{"tier-ports", "legacy/api shop/tier/shop/db", 1},
	{"by-namespace-labels", "legacy/batch shop/deploy/web --port 8080", 1},
	{"from-address", "198.51.100.7 shop/db -n shop --port 5432", 1},
	{"to-address", "shop/web -n shop 2001:db8::1 --port 53 --protocol udp", 3},
	{"to-address-udp", "shop/web -n shop 203.0.113.9 --port 53 --protocol udp", 1},
	{"both-by-hand", "batch api -n legacy --port 80", 1},
	{"allowed-by-hand", "10.9.0.1 legacy/api --port 80", 0},
	{"new-tier", "closed/job legacy/api --port 9090", 1},
	{"new-tier-to-itself", "closed/job 198.51.100.7 --port 80", 1},
	{"from-internet", "internet shop/db -n shop --port 5432", 1},
	{"internet-by-hand", "legacy/api internet --port 443", 1},
	{"perimeter", "198.51.100.7 perimeter/inside --port 80", 1},
	{"pod-or-tier", "service/db shop/free -n shop --port 80", 2},
	{"node-of-the-pod", "edge/free shop/pod/free --port 80", 0},
	{"host-network", "edge/free deployment/web -n shop --port 80", 1},
	{"missing", "deployment/absent legacy/api --port 80", 2},
	{"no-selector", "legacy/api shop/service/outside", 2},
	{"no-tier", "legacy/api shop/tier/shop/absent --port 80", 2},
	{"no-such-port", "legacy/api shop/service/db --port http", 2},
	{"no-apptier", "legacy/api tier/none/web --port 80", 2},
	{"bad-ends", "a/b/c x//y --port 80", 2},
}

func TestExplainInOtherWords(t *testing.T) {
	for _, test := range []struct {
		name, args string
		code       int
	}{
		{"explain-workload-without-pods", "explain deployment/web statefulset/redis -n shop --port redis" + input("explain.yaml"), 1},
		{"explain-service-without-pods", "explain legacy/batch shop/service/redis" + input("explain.yaml"), 1},
		{"explain-tier-without-pods", "explain shop/web tier/shop/cache -n shop" + input("explain.yaml"), 1},
		{"explain-tier-of-nobody", "explain shop/web tier/shop/empty -n shop" + input("explain.yaml"), 1},
		{"explain-service-of-nobody", "explain shop/web service/nobody -n shop" + input("explain.yaml"), 2},
		{"explain-json", "explain edge/proxy-0 shop/pod/free --port 80 -o json" + input("explain.yaml"), 1},
		{"explain-json-policy", "explain perimeter/inside legacy/api --port 80 -o json" + input("explain.yaml"), 1},
		{"explain-json-allowed", "explain legacy/batch shop/deployment/web --port 8080 -o json" + input("explain.yaml"), 1},
		{"can-json", "can legacy/api shop/tier/shop/db -o json" + input("explain.yaml"), 1},
		{"can-json-error", "can legacy/api shop/tier/shop/db -o yaml" + input("explain.yaml"), 2},
		{"explain-labels-not-known", "explain legacy/api shop/api --port 8080" + input("no-namespaces.yaml"), 3},
		{"explain-bad-policy", "explain shop/web shop/db --port 5432" + input("pods.yaml", "own-policy.yaml"), 1},
		{"explain-pod", "explain legacy/api" + input("explain.yaml"), 0},
		{"explain-pods", "explain deployment/web -n shop" + input("explain.yaml"), 0},
		{"explain-pod-free", "explain shop/free -n edge" + input("explain.yaml"), 0},
		{"explain-pod-json", "explain shop/db -n shop -o json" + input("explain.yaml"), 0},
		{"explain-internet-peer", "explain tier/site/web" + input("internet.yaml"), 0},
		{"explain-internet-json", "explain internet tier/site/web --port 443 -o json" + input("internet.yaml"), 1},
		{"explain-no-pod", "explain 198.51.100.7" + input("explain.yaml"), 2},
		{"explain-three-ends", "explain a b c" + input("explain.yaml"), 2},
	} {
		t.Run(test.name, func(t *testing.T) { wantOutput(t, test.name, test.args, test.code) })
	}
}

func TestConnections(t *testing.T) {
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			wantOutput(t, "explain-"+q.name, "explain "+q.ends+input("explain.yaml"), q.code)
			wantOutput(t, "can-"+q.name, "can "+q.ends+input("explain.yaml"), q.code)
		})
	}
}

// added is what explain says to add, as programs read it.
type added struct {
	Connections []struct {
		Alike []string
		Add   []struct {
			Object   string
			Patch    json.RawMessage
			Manifest map[string]any
		}
	}
}

func (a added) hasAlike() bool {
	for _, connection := range a.Connections {
		if len(connection.Alike) > 0 && len(connection.Add) == 0 {
			return true
		}
	}
	return false
}

// What explain says to add, added to the manifests by the patches that it prints, allows the connection.
func TestWhatExplainSaysToAddAllowsIt(t *testing.T) {
	for _, q := range questions {
		if q.code != 1 {
			continue
		}
		t.Run(q.name, func(t *testing.T) {
			stdout, stderr, _ := run(t, "", strings.Fields("explain -o json "+q.ends+input("explain.yaml"))...)
			var what added
			if err := json.Unmarshal([]byte(stdout), &what); err != nil {
				t.Fatalf("%v: %s%s", err, stdout, stderr)
			}
			if what.hasAlike() {
				return // no label tells the pod from others, and that is said
			}
			objects := objectsOf(t, "explain.yaml")
			for _, connection := range what.Connections {
				for _, add := range connection.Add {
					objects = withAddition(t, objects, add.Object, add.Patch, add.Manifest)
				}
			}
			var manifests strings.Builder
			for _, o := range objects {
				text, err := yaml.Marshal(o.Object)
				if err != nil {
					t.Fatal(err)
				}
				manifests.WriteString("---\n" + string(text))
			}
			stdout, stderr, code := run(t, manifests.String(), strings.Fields("can "+q.ends+" -f -")...)
			if code != 0 {
				t.Errorf("exits with %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

// withAddition patches the object of a name, or adds one.
func withAddition(t *testing.T, objects []unstructured.Unstructured, name string, patch json.RawMessage, manifest map[string]any) []unstructured.Unstructured {
	t.Helper()
	if manifest != nil {
		return append(objects, unstructured.Unstructured{Object: manifest})
	}
	i := slices.IndexFunc(objects, func(o unstructured.Unstructured) bool {
		return o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName() == name
	})
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	text, err := objects[i].MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = operations.Apply(text); err != nil {
		t.Fatalf("%v: %s", err, patch)
	}
	if err := objects[i].UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return objects
}
