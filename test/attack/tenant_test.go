package attack

import (
	"fmt"
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// owner may write policies of a namespace.
var owner = attacker{name: "a namespace's owner"}

// unlimited are budgets that nothing exceeds.
func unlimited() budget.Limits {
	const most = math.MaxInt32
	c := budget.Cost{
		Rules: most, Peers: most, Blocks: most, Ports: most, Requirements: most, Copies: most, Addresses: most, Depth: most,
	}
	return budget.Limits{Policy: c, Namespace: c}
}

// A policy of one tenant that is as large as the API server takes it fills the kernel that all share, and every
// change of the rules takes longer for all. Above the budgets it isolates, and the kernel gets nothing else of it.
func TestAPolicyThatIsTooLarge(t *testing.T) {
	for _, a := range []struct {
		name          string
		rules, blocks int
	}{{"2,000 rules", 2000, 1}, {"6,000 blocks", 1, 6000}} {
		t.Run(a.name, func(t *testing.T) {
			load := func(s *scene, limits budget.Limits) {
				objects := s.lab.Shop()
				objects.Policies = []*networkingv1.NetworkPolicy{
					large(a.rules, a.blocks), lab.Policy(s.t, "other", `{podSelector: {matchLabels: {app: c}}, ingress: [{ports: [{port: 80}]}]}`),
				}
				s.loadWithin(objects, limits)
			}
			run(t, attack{
				name: "a policy of " + a.name, by: owner, wirings: []lab.Wiring{lab.Routed}, family: only4, policies: open,
				rules: func(s *scene, _ attack, _ policies) (stop func()) {
					load(s, budget.Defaults())
					return func() {}
				},
				bare:   func(s *scene) { load(s, unlimited()) },
				try:    func(s *scene) bool { return s.size() > 1000 },
				beside: func(s *scene) bool { return s.connects(s.attacker, s.friend, corev1.ProtocolTCP, 80) },
			})
		})
	}
}

// large is a policy for the victim with so many rules of so many blocks each.
func large(rules, blocks int) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "large"}}
	p.Spec.PodSelector.MatchLabels = map[string]string{"app": "b"}
	for i := range rules {
		port := intstr.FromInt(80 + 2*i)
		rule := networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{{Port: &port}}}
		for n := range blocks {
			block := &networkingv1.IPBlock{CIDR: fmt.Sprintf("100.64.%d.%d/32", n/100, n%100*2)} // no two are neighbours
			rule.From = append(rule.From, networkingv1.NetworkPolicyPeer{IPBlock: block})
		}
		p.Spec.Ingress = append(p.Spec.Ingress, rule)
	}
	return p
}

// loadWithin is load, of a snapshot and within budgets.
func (s *scene) loadWithin(objects reach.Snapshot, limits budget.Limits) {
	s.t.Helper()
	c := compile.New(lab.NodeName)
	c.Limit(limits)
	c.Tell(objects)
	s.lab.Apply(s.t, nft.Replace(c.Ruleset().Table(2)))
}

// size counts what the kernel holds of the table.
func (s *scene) size() int {
	s.t.Helper()
	contents := s.contents()
	n := 0
	for _, c := range contents.Chains {
		n += 1 + len(c.Rules)
	}
	for _, elements := range contents.Sets {
		n += 1 + len(elements)
	}
	return n
}
