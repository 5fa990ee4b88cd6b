package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/connections/api"
)

const prefix = "/apis/connections.apptier.dev/v1alpha1"

// seen is what nodes saw, for every lister below: inside shop, from shop to bank, from bank to shop, and inside bank.
type seen struct{}

var begin = time.Date(2026, 11, 30, 14, 2, 7, 0, time.UTC)

func (seen) List(_ context.Context, _ string, _ time.Time) connections.ConnectionList {
	end := func(namespace, pod string) connections.End {
		return connections.End{Address: "10.0.0.1", Namespace: namespace, Pod: pod, Workload: "Deployment/" + pod, AppTier: namespace, Tier: pod}
	}
	one := func(name string, direction connections.Direction, from, to connections.End) connections.Connection {
		return connections.Connection{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Verdict: connections.Denied, Direction: direction, Source: from, Destination: to,
			Because: []connections.PolicyReference{{Kind: "NetworkPolicy", Name: "isolate-" + name}}, Protocol: "TCP", Port: 5432,
			Count: 14, First: metav1.NewMicroTime(begin), Last: metav1.NewMicroTime(begin), Node: "n1",
		}
	}
	internet := connections.End{Address: "198.51.100.7"}
	return connections.ConnectionList{
		Items: []connections.Connection{
			one("inside-shop", connections.Ingress, end("shop", "web"), end("shop", "db")),
			one("leaves-shop", connections.Egress, end("shop", "web"), end("bank", "ledger")),
			one("enters-shop", connections.Egress, end("bank", "batch"), end("shop", "db")),
			one("enters-bank", connections.Ingress, end("shop", "web"), end("bank", "ledger")),
			one("inside-bank", connections.Ingress, end("bank", "batch"), end("bank", "ledger")),
			one("from-outside", connections.Ingress, internet, end("bank", "ledger")),
		},
		Missing: []connections.Missing{{Node: "n2", Reason: "its enforcer did not answer in time"}},
	}
}

// tenants may list AppTiers in the namespaces behind their names; * is all of them.
var tenants = map[string][]string{"shop-owner": {"shop"}, "bank-owner": {"bank"}, "both": {"shop", "bank"}, "admin": {"*"}, "nobody": nil}

func mayList(_ context.Context, who user.Info, namespace string) (bool, error) {
	if namespace == "broken" {
		return false, fmt.Errorf("the API server is away")
	}
	in := tenants[who.GetName()]
	return slices.Contains(in, "*") || slices.Contains(in, namespace), nil
}

// byHeader takes for true what a request says.
var byHeader = authenticator.RequestFunc(func(r *http.Request) (*authenticator.Response, bool, error) {
	name := r.Header.Get("X-Remote-User")
	return &authenticator.Response{User: &user.DefaultInfo{Name: name}}, name != "", nil
})

func ask(t *testing.T, who, path string, header ...string) (int, string) {
	t.Helper()
	handler := api.New(api.Options{Lister: seen{}, Authenticator: byHeader, MayList: mayList, Log: testr.New(t)})
	method := http.MethodGet
	if verb, rest, found := strings.Cut(path, " "); found {
		method, path = verb, rest
	}
	request := httptest.NewRequest(method, path, nil)
	request.Header.Set("X-Remote-User", who)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	return response.Code, response.Body.String()
}

// told is what a list says, a line for each connection: what is left out of the far end is not there.
func told(t *testing.T, body string) []string {
	t.Helper()
	var list connections.ConnectionList
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if list.Kind != "ConnectionList" || len(list.Missing) != 1 {
		t.Errorf("a %s that misses %v", list.Kind, list.Missing)
	}
	var out []string
	for _, c := range list.Items {
		line := c.Namespace + ": " + c.Name
		for _, e := range []connections.End{c.Source, c.Destination} {
			line += fmt.Sprintf(" %s/%s(%s)", e.Namespace, e.Pod, e.Tier)
			if e.Pod != "" && e.Workload == "" {
				line += " without its workload"
			}
		}
		for _, p := range c.Because {
			line += " because " + p.Name
		}
		out = append(out, line)
	}
	return out
}

// Who may list AppTiers in a namespace sees what has an end there, and of what is elsewhere only its name.
func TestWhoSeesWhat(t *testing.T) {
	shop := []string{
		"shop: inside-shop shop/web(web) shop/db(db) because isolate-inside-shop",
		"shop: leaves-shop shop/web(web) bank/ledger() because isolate-leaves-shop",
		"shop: enters-shop bank/batch() shop/db(db)",
		"shop: enters-bank shop/web(web) bank/ledger()",
	}
	bank := []string{
		"bank: leaves-shop shop/web() bank/ledger(ledger)",
		"bank: enters-shop bank/batch(batch) shop/db() because isolate-enters-shop",
		"bank: enters-bank shop/web() bank/ledger(ledger) because isolate-enters-bank",
		"bank: inside-bank bank/batch(batch) bank/ledger(ledger) because isolate-inside-bank",
		"bank: from-outside /() bank/ledger(ledger) because isolate-from-outside",
	}
	full := []string{
		shop[0],
		"shop: leaves-shop shop/web(web) bank/ledger(ledger) because isolate-leaves-shop",
		"shop: enters-shop bank/batch(batch) shop/db(db) because isolate-enters-shop",
		"shop: enters-bank shop/web(web) bank/ledger(ledger) because isolate-enters-bank",
	}
	for _, test := range []struct {
		who, namespace string
		want           []string // nil for forbidden
	}{
		{"shop-owner", "shop", shop}, {"shop-owner", "bank", nil}, {"shop-owner", "", nil},
		{"bank-owner", "bank", bank}, {"bank-owner", "shop", nil},
		{"both", "shop", full}, {"both", "", nil},
		{"admin", "shop", full}, {"nobody", "shop", nil}, {"nobody", "", nil},
	} {
		path := prefix + "/namespaces/" + test.namespace + "/connections"
		if test.namespace == "" {
			path = prefix + "/connections"
		}
		code, body := ask(t, test.who, path)
		if test.want == nil {
			if code != http.StatusForbidden || strings.Contains(body, "web") {
				t.Errorf("%s asks for %q, and gets %d %s", test.who, test.namespace, code, body)
			}
			if code, body := ask(t, test.who, path+"/inside-shop"); test.namespace != "" && code != http.StatusForbidden {
				t.Errorf("%s asks for one of %q, and gets %d %s", test.who, test.namespace, code, body)
			}
			continue
		}
		if difference := cmp.Diff(test.want, told(t, body)); code != http.StatusOK || difference != "" {
			t.Errorf("%s asks for %q, and gets %d %s", test.who, test.namespace, code, difference)
		}
	}
	if _, body := ask(t, "admin", prefix+"/connections"); len(told(t, body)) != 6 {
		t.Errorf("the admin sees %v", told(t, body))
	}
	if code, _ := ask(t, "shop-owner", prefix+"/namespaces/shop/connections/inside-bank"); code != http.StatusNotFound {
		t.Errorf("one of another namespace: %d", code)
	}
}

func TestAnswers(t *testing.T) {
	shop := prefix + "/namespaces/shop/connections"
	for _, test := range []struct {
		who, path string
		code      int
		says      string
	}{
		{"shop-owner", shop + "?fieldSelector=verdict=Allowed", 200, `"items":[]`},
		{"shop-owner", shop + "?fieldSelector=verdict=Denied", 200, "inside-shop"},
		{"shop-owner", shop + "?fieldSelector=node=n1", 400, "the field \\\"node\\\" selects no connections"},
		{"shop-owner", shop + "?labelSelector=app", 200, `"items":[]`},
		{"shop-owner", shop + "?since=2026-11-30T14:02:08Z", 200, `"items":[]`},
		{"shop-owner", shop + "?since=yesterday", 400, "write it as in"},
		{"shop-owner", shop + "?watch=true", 405, "MethodNotAllowed"},
		{"shop-owner", "DELETE " + shop, 405, "MethodNotAllowed"},
		{"shop-owner", "POST " + shop, 405, "MethodNotAllowed"},
		{"shop-owner", "/metrics", 404, "NotFound"},
		{"nobody", prefix + "/namespaces/broken/connections", 500, "the manager's log says why"},
		{"nobody", "/apis", 200, `"name":"connections.apptier.dev"`},
		{"nobody", "/apis/connections.apptier.dev", 200, `"preferredVersion"`},
		{"nobody", prefix, 200, `"verbs":["get","list"]`},
		{"", prefix, 401, "Unauthorized"},
		{"", shop, 401, "Unauthorized"},
		{"", "/metrics", 401, "Unauthorized"},
	} {
		if code, body := ask(t, test.who, test.path); code != test.code || !strings.Contains(body, test.says) {
			t.Errorf("%s %s: %d %s", test.who, test.path, code, body)
		}
	}
}

// kubectl asks for tables.
func TestTables(t *testing.T) {
	const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
	code, body := ask(t, "shop-owner", prefix+"/namespaces/shop/connections", "Accept", accept)
	var table metav1.Table
	if err := json.Unmarshal([]byte(body), &table); err != nil || code != http.StatusOK || table.Kind != "Table" || len(table.Rows) != 4 {
		t.Fatalf("%d %v %s", code, err, body)
	}
	want := []any{"inside-shop", "2026-11-30T14:02:07Z", "Denied", "shop/web", "shop/db", "TCP/5432", float64(14), "Ingress", "n1"}
	if difference := cmp.Diff(want, table.Rows[0].Cells); difference != "" {
		t.Error(difference)
	}
	if !strings.Contains(string(table.Rows[0].Object.Raw), "PartialObjectMetadata") {
		t.Errorf("a row is of %s", table.Rows[0].Object.Raw)
	}
	if _, body := ask(t, "shop-owner", prefix+"/namespaces/shop/connections?includeObject=Object", "Accept", accept); !strings.Contains(body, `"kind":"Connection"`) {
		t.Errorf("rows without their objects: %s", body)
	}
	if _, body := ask(t, "shop-owner", prefix+"/namespaces/shop/connections/leaves-shop", "Accept", accept); strings.Contains(body, "inside-shop") || !strings.Contains(body, "bank/ledger") {
		t.Errorf("one of them: %s", body)
	}
}
