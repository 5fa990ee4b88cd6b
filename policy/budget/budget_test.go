package budget_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/budget"
)

func TestCount(t *testing.T) {
	const text = `
podSelector: {matchLabels: {app: web, tier: front}}
ingress:
- from:
  - podSelector: {matchExpressions: [{key: app, operator: In, values: [a, b, c]}, {key: old, operator: DoesNotExist}]}
    namespaceSelector: {matchLabels: {team: shop}}
  - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}
  ports: [{port: 80}, {port: 8000, endPort: 9000}]
- {}
egress:
- to: [{namespaceSelector: {}}]
  ports: [{port: dns, protocol: UDP}]
`
	var spec networkingv1.NetworkPolicySpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	want := budget.Cost{Rules: 3, Peers: 2, Blocks: 3, Ports: 3, Requirements: 2 + 3 + 1 + 1}
	if got := budget.Count(&spec); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTheMessageNamesPolicyCountLimitAndFlag(t *testing.T) {
	err := budget.Defaults().Check(types.NamespacedName{Namespace: "shop", Name: "web"}, budget.Cost{Rules: 20_000, Peers: 501})
	const want = "NetworkPolicy shop/web has 20000 rules, more than the 500, and 501 peers, more than the 500 that a policy may have: " +
		"split it, or let fewer rules and selectors say the same, or have --policy-budget=rules=20000,peers=501 set"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	var exceeded *budget.ExceededError
	if !errors.As(err, &exceeded) || exceeded.Excess[0] != (budget.Excess{Item: "rules", Count: 20_000, Limit: 500}) {
		t.Errorf("got %#v", err)
	}
}

func TestTheOldestOfANamespaceComeFirst(t *testing.T) {
	l := budget.Limits{Policy: budget.Cost{Rules: 5}, Namespace: budget.Cost{Rules: 10}}
	at := func(age int, name string, rules int) budget.Policy {
		return budget.Policy{Name: name, Created: time.Unix(int64(100-age), 0), Cost: budget.Cost{Rules: rules}}
	}
	refused := l.Refused("shop", []budget.Policy{
		at(1, "a-young-one-that-fits", 1), at(2, "a-young-one", 4), at(9, "old", 4), at(8, "less-old", 4), at(7, "huge", 6),
	})
	if got := slices.Sorted(maps.Keys(refused)); !slices.Equal(got, []string{"a-young-one", "huge"}) {
		t.Fatalf("refused: %q", got)
	}
	for name, want := range map[string]string{
		"a-young-one": "with it the policies of namespace shop have 12 rules, more than the 10 that a namespace may have",
		"huge":        "has 6 rules, more than the 5 that a policy may have",
	} {
		if !strings.Contains(refused[name].Error(), want) {
			t.Errorf("%s: %v", name, refused[name])
		}
	}
}

// Who is refused depends on the policies, not on the order in which they came; and what is not refused is
// within the limits.
func TestWhoIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := budget.Limits{Policy: budget.Cost{Rules: 8, Peers: 8}, Namespace: budget.Cost{Rules: 20, Peers: 20}}
		var policies []budget.Policy
		for i := range rapid.IntRange(0, 12).Draw(t, "policies") {
			policies = append(policies, budget.Policy{
				Name: fmt.Sprint(i), Created: time.Unix(rapid.Int64Range(0, 3).Draw(t, "created"), 0),
				Cost: budget.Cost{Rules: rapid.IntRange(0, 10).Draw(t, "rules"), Peers: rapid.IntRange(0, 10).Draw(t, "peers")},
			})
		}
		refused := l.Refused("shop", policies)
		shuffled := l.Refused("shop", rapid.Permutation(policies).Draw(t, "order"))
		if len(refused) != len(shuffled) {
			t.Fatalf("%v, and in another order %v", refused, shuffled)
		}
		var total budget.Cost
		for _, p := range policies {
			if !errors.Is(refused[p.Name], shuffled[p.Name]) {
				t.Fatalf("%v, and in another order %v", refused, shuffled)
			}
			if refused[p.Name] == nil {
				total = total.Add(p.Cost)
			}
		}
		if total.Rules > 20 || total.Peers > 20 {
			t.Fatalf("%+v are not refused", total)
		}
	})
}

func TestNear(t *testing.T) {
	l := budget.Defaults()
	if got := l.Near(budget.Cost{Rules: l.Policy.Rules / 2}, budget.Cost{}); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	got := l.Near(budget.Cost{Rules: 251}, budget.Cost{Peers: 501})
	want := []string{"it has 251 rules of 500 that a policy may have", "its namespace has 501 peers of 1000 that the policies of one may have together"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestFlag(t *testing.T) {
	l := budget.Defaults().Policy
	if err := l.Set("rules=7, peers=9"); err != nil || l.Rules != 7 || l.Peers != 9 || l.Ports != 1000 {
		t.Errorf("got %v, %v", &l, err)
	}
	if err := l.Set(l.String()); err != nil {
		t.Errorf("what it prints: %v", err)
	}
	for text, want := range map[string]string{
		"rule=1":         `"rule" is none of rules, peers, blocks, ports, requirements, copies, addresses, depth`,
		"rules":          "rules=nothing: write a number, 0 or more, after the equals sign",
		"ports=1,peers=": "peers=nothing: write a number, 0 or more, after the equals sign",
		"rules=-1":       "rules=-1: write a number, 0 or more, after the equals sign",
	} {
		if err := l.Set(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
		if l.Ports != 1000 {
			t.Errorf("%s is half set", text)
		}
	}
}

// To count costs far less than to read.
func BenchmarkCount(b *testing.B) {
	spec := networkingv1.NetworkPolicySpec{}
	for i := range 20_000 {
		spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{
			{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprint(i)}}},
		}})
	}
	for b.Loop() {
		budget.Count(&spec)
	}
}
