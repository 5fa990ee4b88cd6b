package reach_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/reach"
)

func TestResultNamesThePolicyAndTheRule(t *testing.T) {
	t.Parallel()
	s := snapshot(t,
		`{podSelector: {}}`,
		`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}]}, {from: [{namespaceSelector: {matchLabels: {team: nobody}}}, {podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {port: pg}]}]}`,
	)
	flow, _ := parseFlow(t, "shop/web shop/db 5432 Allow")
	got := reach.Allowed(s, flow)

	name := func(n string) types.NamespacedName { return types.NamespacedName{Namespace: "shop", Name: n} }
	rule := &reach.RuleRef{Policy: name("p1"), Direction: networkingv1.PolicyTypeIngress, Index: 1, Peer: 1, Port: 1}
	want := reach.Result{
		Verdict: reach.Allow,
		Egress:  reach.Decision{Verdict: reach.Allow, Reason: "no policy isolates egress of shop/web"},
		Ingress: reach.Decision{
			Verdict:   reach.Allow,
			Isolated:  true,
			Policies:  []types.NamespacedName{name("p0"), name("p1")},
			AllowedBy: rule,
			Reason:    "ingress of shop/db: shop/p1 ingress[1].from[1] ports[1] allows TCP 5432 from shop/web",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestResultText(t *testing.T) {
	t.Parallel()
	s := snapshot(t,
		`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.9.0.0/16}}], ports: [{port: 81}]}]}`,
		`{podSelector: {matchLabels: {app: edge}}, policyTypes: [Egress], egress: [{}]}`,
	)
	for line, want := range map[string]string{
		"shop/web shop/db 80 Deny":    "denied: ingress of shop/db is isolated by shop/p0 and no rule allows TCP 80 from shop/web",
		"shop/new shop/db 81 Unknown": "unknown: ingress of shop/db: shop/p0 ingress[0].from[0] ports[0] allows TCP 81 from shop/new or not, by an address that is not known yet",
		"shop/edge ops/admin 0/ICMP Allow": "allowed: egress of shop/edge: shop/p1 egress[0] allows ICMP to ops/admin\n" +
			"allowed: no policy isolates ingress of ops/admin",
		"shop/gone shop/db 80 Unknown": "unknown: there is no pod shop/gone",
		"shop/db shop/db 80 Allow":     "allowed: a pod always reaches itself",
		"192.168.0.2 shop/db 80 Allow": "allowed: 192.168.0.2 is not on the pod network, where policies apply\n" +
			"allowed: 192.168.0.2 is the node of shop/db, or on its network",
	} {
		flow, verdict := parseFlow(t, line)
		got := reach.Allowed(s, flow)
		if got.Verdict != verdict || got.String() != want {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
	}
}

// The first rule that might allow is named, as the first that does is.
func TestUnknownNamesTheFirstRule(t *testing.T) {
	t.Parallel()
	blocks := `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: none}}}]}, {from: [{ipBlock: {cidr: 10.0.0.0/8}}]}, {from: [{ipBlock: {cidr: 11.0.0.0/8}}]}]}`
	flow, _ := parseFlow(t, "shop/new shop/db 80 Unknown")
	want := "unknown: ingress of shop/db: shop/p0 ingress[1].from[0] allows TCP 80 from shop/new or not, by an address that is not known yet"
	if got := reach.Allowed(snapshot(t, blocks, blocks), flow).String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestProblemsAreReported(t *testing.T) {
	t.Parallel()
	s := snapshot(t,
		`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}, {}], ports: [{endPort: 9}]}], egress: [{to: [{ipBlock: {cidr: x}}]}]}`,
	)
	flow, _ := parseFlow(t, "shop/web shop/db 80 Deny")
	want := []string{
		"shop/p0 ingress[0].from[1]: needs a podSelector, a namespaceSelector or an ipBlock",
		"shop/p0 ingress[0].ports[0]: endPort needs a port",
	}
	if diff := cmp.Diff(want, reach.Allowed(s, flow).Ingress.Problems); diff != "" {
		t.Error(diff)
	}
}

func TestManyPoliciesAreNotAllSpelledOut(t *testing.T) {
	t.Parallel()
	s := snapshot(t, closed, closed, closed, closed, closed)
	flow, _ := parseFlow(t, "ops/admin shop/db 80 Deny")
	want := "denied: ingress of shop/db is isolated by shop/p0, shop/p1, shop/p2 and 2 more and no rule allows TCP 80 from ops/admin"
	if got := reach.Allowed(s, flow).String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEndpointText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"shop/web", "2001:db8::1"} {
		if got := parseEndpoint(t, text).String(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	if got := (reach.Endpoint{}).String(); got != "nobody" {
		t.Errorf("got %s", got)
	}
	if got := reach.Allowed(reach.Snapshot{}, reach.Flow{Port: 80}); got.Verdict != reach.Unknown {
		t.Errorf("a flow between nobody and nobody: %s", got)
	}
}
