package expand_test

import (
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/google/go-cmp/cmp"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/reach"
)

// The flows that the rendered policies let pass are those that the AppTier declares, one by one:
// nothing more, nothing less.
func TestEffectiveFlowsAreTheDeclaredOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := drawAppTier(t)
		policies := expand.NetworkPolicies(app, expand.DefaultEnvironment())
		evaluator := reach.New(reach.Snapshot{Namespaces: world.Namespaces, Pods: world.Pods, Policies: policies})
		for _, source := range everywhere {
			for _, destination := range everywhere {
				if source == destination {
					continue // a pod always reaches itself
				}
				for _, port := range []expand.Port{{Protocol: "TCP", Start: 80}, {Protocol: "TCP", Start: 443}, {Protocol: "TCP", Start: 53}, {Protocol: "UDP", Start: 53}} {
					want := declared(app, source, destination, port)
					got := evaluator.Allowed(reach.Flow{Source: source.endpoint(), Destination: destination.endpoint(), Protocol: port.Protocol, Port: port.Start})
					if want != (got.Verdict == reach.Allow) {
						t.Fatalf("%s to %s, %s %d: declared %v, but %s", source.name, destination.name, port.Protocol, port.Start, want, got)
					}
				}
			}
		}
	})
}

// No rendering has a list of peers that is empty, which means everyone, unless everyone is said.
func TestNoEmptyPeersUnlessEveryone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := drawAppTier(t)
		for _, policy := range expand.NetworkPolicies(app, expand.DefaultEnvironment()) {
			for _, rule := range policy.Spec.Ingress {
				if len(rule.From) == 0 && !saysEveryone(app) {
					t.Fatalf("%s: an ingress rule without peers", policy.Name)
				}
			}
			for _, rule := range policy.Spec.Egress {
				if len(rule.To) == 0 && !saysEveryone(app) {
					t.Fatalf("%s: an egress rule without peers", policy.Name)
				}
			}
		}
	})
}

// A tier's policy says by itself all that its pods may do where it isolates them: the policy of the
// namespace permits them nothing more. Rollouts rely on it.
func TestPoliciesOfTiersAreComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := drawAppTier(t)
		policies := expand.NetworkPolicies(app, expand.DefaultEnvironment())
		if app.Spec.Isolation.Scope != v1alpha1.ScopeNamespace {
			return
		}
		namespace := policies[len(policies)-1].Spec
		for _, policy := range policies[:len(policies)-1] {
			for _, direction := range policy.Spec.PolicyTypes {
				alone := reach.New(reach.Snapshot{Namespaces: world.Namespaces, Pods: world.Pods, Policies: []*networkingv1.NetworkPolicy{policy}})
				both := policy.DeepCopy()
				both.Spec.Ingress = append(both.Spec.Ingress, namespace.Ingress...)
				both.Spec.Egress = append(both.Spec.Egress, namespace.Egress...)
				together := reach.New(reach.Snapshot{Namespaces: world.Namespaces, Pods: world.Pods, Policies: []*networkingv1.NetworkPolicy{both}})
				for _, flow := range everyFlow() {
					if want, got := together.Allowed(flow), alone.Allowed(flow); want.Verdict != got.Verdict {
						t.Fatalf("%s, %s, %v: %s by itself, %s with the policy of the namespace", policy.Name, direction, flow, got, want)
					}
				}
			}
		}
	})
}

func everyFlow() []reach.Flow {
	var flows []reach.Flow
	for _, source := range everywhere {
		for _, destination := range everywhere {
			for _, port := range []expand.Port{{Protocol: "TCP", Start: 80}, {Protocol: "TCP", Start: 53}, {Protocol: "UDP", Start: 53}} {
				if source != destination {
					flows = append(flows, reach.Flow{Source: source.endpoint(), Destination: destination.endpoint(), Protocol: port.Protocol, Port: port.Start})
				}
			}
		}
	}
	return flows
}

// The order of tiers, rules, peers and ports does not matter.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := drawAppTier(t)
		want := renderAll(t, app)
		shuffled := app.DeepCopy()
		shuffled.Spec.Tiers = rapid.Permutation(shuffled.Spec.Tiers).Draw(t, "tiers")
		for i := range shuffled.Spec.Tiers {
			tier := &shuffled.Spec.Tiers[i]
			tier.Ingress = rapid.Permutation(tier.Ingress).Draw(t, "ingress")
			tier.Ports = rapid.Permutation(tier.Ports).Draw(t, "ports")
			for j := range tier.Ingress {
				tier.Ingress[j].From = rapid.Permutation(tier.Ingress[j].From).Draw(t, "from")
			}
		}
		if diff := cmp.Diff(want, renderAll(t, shuffled)); diff != "" {
			t.Fatalf("the order matters:\n%s", diff)
		}
	})
}

func renderAll(t *rapid.T, app *v1alpha1.AppTier) string {
	text, err := yaml.Marshal(expand.NetworkPolicies(app, expand.DefaultEnvironment()))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func saysEveryone(app *v1alpha1.AppTier) bool {
	everyone := func(p v1alpha1.Peer) bool { return p.Everyone != nil }
	more := everyTier(app)
	if slices.ContainsFunc(app.Spec.DNS.To, everyone) {
		return true
	}
	tiers := append([]v1alpha1.Tier{{Ingress: more.Ingress, Egress: more.Egress}}, app.Spec.Tiers...)
	return slices.ContainsFunc(tiers, func(tier v1alpha1.Tier) bool {
		return slices.ContainsFunc(tier.Ingress, func(r v1alpha1.IngressRule) bool { return slices.ContainsFunc(r.From, everyone) }) ||
			slices.ContainsFunc(tier.Egress, func(r v1alpha1.EgressRule) bool { return slices.ContainsFunc(r.To, everyone) })
	})
}
