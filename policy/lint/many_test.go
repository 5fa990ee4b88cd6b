package lint_test

import (
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// besideTiers is a world with an AppTier of so many tiers, each of which allows 16 times 20 ranges, and a
// pod in each.
func besideTiers(tiers int) world.World {
	app := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}}
	known := world.World{Whole: true, Known: world.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}}
	known.Namespaces = []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}}
	for i := range tiers {
		name := fmt.Sprintf("tier-%d", i)
		tier := v1alpha1.Tier{Name: name, PodSelector: *selector("tier", name)}
		for j := range 16 {
			rule := v1alpha1.IngressRule{Ports: numbered(int32(8000 + j))}
			networks := &v1alpha1.NetworksPeer{}
			for k := range 20 {
				networks.CIDRs = append(networks.CIDRs, fmt.Sprintf("172.%d.%d.%d/32", 16+i%16, j, k))
			}
			rule.From = []v1alpha1.Peer{{Networks: networks}}
			tier.Ingress = append(tier.Ingress, rule)
		}
		app.Spec.Tiers = append(app.Spec.Tiers, tier)
		known.Pods = append(known.Pods, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"tier": name}}})
	}
	known.AppTiers = []*v1alpha1.AppTier{app}
	known.Generated = expand.Expand(app, expand.Environment{}).Policies
	return known
}

// Kinds of rules that a policy can have many of. The last one opens every tier to everyone.
var manyRules = map[string]func(i int) networkingv1.NetworkPolicyIngressRule{
	// Each allows a range that the AppTier allows, too.
	"addresses": func(i int) networkingv1.NetworkPolicyIngressRule {
		return networkingv1.NetworkPolicyIngressRule{
			From:  []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: fmt.Sprintf("172.16.%d.%d/32", i/20%16, i%20)}}},
			Ports: ports(int32(8000 + i/20%16)),
		}
	},
	"ports": func(i int) networkingv1.NetworkPolicyIngressRule {
		return networkingv1.NetworkPolicyIngressRule{
			From:  []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: fmt.Sprintf("10.%d.%d.0/24", i/256%256, i%256)}}},
			Ports: ports(int32(1 + i)),
		}
	},
	"pods": func(i int) networkingv1.NetworkPolicyIngressRule {
		return networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{{PodSelector: selector("app", fmt.Sprint("app-", i))}}, Ports: ports(8000)}
	},
	"places": func(i int) networkingv1.NetworkPolicyIngressRule {
		return networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: selector("team", fmt.Sprint("team-", i)), PodSelector: selector("app", fmt.Sprint("app-", i))}}, Ports: ports(int32(1 + i))}
	},
}

// manyOf is a policy of so many rules of a kind, and one that opens everything.
func manyOf(kind string, rules int) *networkingv1.NetworkPolicy {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "many"}}
	policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	policy.Spec.PodSelector = *selector("tier", "tier-0")
	if kind == "everywhere" {
		kind, policy.Spec.PodSelector = "addresses", metav1.LabelSelector{}
	}
	for i := range rules - 1 {
		policy.Spec.Ingress = append(policy.Spec.Ingress, manyRules[kind](i))
	}
	policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
	return policy
}

// How long a policy of many rules takes to judge beside AppTiers of a few tiers and of many: it has to
// grow as the rules do.
func BenchmarkManyRules(b *testing.B) {
	for _, tiers := range []int{3, 20} {
		known := besideTiers(tiers)
		index := world.NewIndex(known)
		for _, kind := range []string{"addresses", "everywhere", "ports", "pods", "places"} {
			for _, rules := range []int{1_000, 5_000, 20_000} {
				b.Run(fmt.Sprintf("tiers=%d/%s/rules=%d", tiers, kind, rules), func(b *testing.B) {
					policy := manyOf(kind, rules)
					for b.Loop() {
						if len(check.WithSeverity(lint.JudgePolicy(index, policy, new(check.Work)), check.Reject)) == 0 {
							b.Fatal("the last rule opens everything")
						}
					}
				})
			}
		}
	}
}

// A policy that warns of more places than are named is refused all the same for what comes after.
func TestWhatComesAfterManyWarningsIsRefused(t *testing.T) {
	for kind := range manyRules {
		findings := lint.NetworkPolicy(manyOf(kind, 300), besideTiers(3))
		if rejected := check.WithSeverity(findings, check.Reject); len(rejected) == 0 {
			t.Errorf("%s: the last rule opens everything", kind)
		}
		if len(findings) > 1000 {
			t.Errorf("%s: %d findings", kind, len(findings))
		}
	}
}

// The work is the same every time, grows as the rules do, and what takes more than it may is not judged.
func TestWorkIsBounded(t *testing.T) {
	index := world.NewIndex(besideTiers(5))
	for _, kind := range []string{"addresses", "everywhere", "ports", "pods", "places"} {
		var done []int
		for _, rules := range []int{500, 500, 2000} {
			work := check.NewWork(0, nil)
			lint.JudgePolicy(index, manyOf(kind, rules), work)
			if work.Err() != nil {
				t.Fatal(work.Err())
			}
			done = append(done, work.Done())
		}
		if done[0] != done[1] || done[2] > 5*done[0] {
			t.Errorf("%s: %v steps for 500, 500 and 2000 rules", kind, done)
		}
		var tooMuch *check.TooMuchWorkError
		work := check.NewWork(done[0]-1, nil)
		if findings := lint.JudgePolicy(index, manyOf(kind, 500), work); len(findings) > 0 || !errors.As(work.Err(), &tooMuch) || tooMuch.Most != done[0]-1 {
			t.Errorf("%s: %d findings and %v with a step too few", kind, len(findings), work.Err())
		}
		work = check.NewWork(done[0], nil)
		if lint.JudgePolicy(index, manyOf(kind, 500), work); work.Err() != nil {
			t.Errorf("%s: %v with as many steps as it takes", kind, work.Err())
		}
	}
}

// Beside a policy whose clauses are too heavy, others are judged; it is not judged itself.
func TestHeavyPolicyIsNotTakenApart(t *testing.T) {
	heavy := manyOf("pods", 3000)
	heavy.Name, heavy.Spec.PodSelector.MatchLabels = "heavy", map[string]string{}
	for i := range 3000 {
		heavy.Spec.PodSelector.MatchLabels[fmt.Sprint("label-", i)] = "x"
	}
	known := besideTiers(3)
	known.Policies = []*networkingv1.NetworkPolicy{heavy}
	index := world.NewIndex(known)
	if findings := lint.JudgePolicy(index, manyOf("pods", 2), new(check.Work)); len(check.WithSeverity(findings, check.Reject)) == 0 {
		t.Errorf("another policy is not refused: %v", findings)
	}
	work := check.NewWork(20_000_000, nil)
	if lint.JudgePolicy(index, heavy, work); work.Err() == nil {
		t.Errorf("it was judged in %d steps", work.Done())
	}
	openings := lint.Openings(known.AppTiers[0], known, 20_000_000)
	if len(openings) != 1 || openings[0].Unjudged == nil {
		t.Errorf("openings are %+v", openings)
	}
}

// Whoever waits no longer ends the work.
func TestWorkStops(t *testing.T) {
	index, gone := world.NewIndex(besideTiers(5)), errors.New("nobody waits")
	work := check.NewWork(0, func() error { return gone })
	if lint.JudgePolicy(index, manyOf("addresses", 5000), work); !errors.Is(work.Err(), gone) {
		t.Errorf("the work ended with %v", work.Err())
	}
}
