package expand_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/model"
	"github.com/apptier/apptier/policy/reach"
)

// The flows that the rendered policies let pass are those that the AppTier declares, one by one:
// nothing more, nothing less.
func TestEffectiveFlowsAreTheDeclaredOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app, other := drawAppTier(t), drawOther(t)
		policies := expand.NetworkPolicies(app, environment(other))
		evaluator := reach.New(reach.Snapshot{Namespaces: world.Namespaces, Pods: world.Pods, Policies: policies})
		forEveryFlow(func(source, destination place, port model.Port) {
			if source.name == "kubernetes" { // nothing connects from the address of a Service
				return
			}
			want := reading{app, other}.declared(source, destination, port)
			got := evaluator.Allowed(flow(source, destination, port))
			if want != (got.Verdict == reach.Allow) {
				t.Fatalf("%s to %s, %s %d: declared %v, but %s", source.name, destination.name, port.Protocol, port.Start, want, got)
			}
		})
	})
}

// Without one of its connections an AppTier allows nothing that it does not allow with it.
func TestRemovingAConnectionNeverAddsAFlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app, other := drawAppTier(t), drawOther(t)
		less, lessOther := removeConnection(t, app, other)
		before, after := evaluatorOf(app, other), evaluatorOf(less, lessOther)
		forEveryFlow(func(source, destination place, port model.Port) {
			if flow := flow(source, destination, port); after.Allowed(flow).Verdict == reach.Allow && before.Allowed(flow).Verdict != reach.Allow {
				t.Fatalf("%s to %s, %s %d: allowed only after a connection was removed", source.name, destination.name, port.Protocol, port.Start)
			}
		})
	})
}

// A further AppTier, here or elsewhere, opens no flow that an AppTier does not declare, given the
// agreement of both: with tiers of its own, and no conflict about the namespace.
func TestAddingAnAppTierOpensNoFlowOfAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app, other := drawAppTier(t), drawOther(t)
		further := drawFurther(t)
		if len(apptier.SameNamespaceAs(further, app)) > 0 {
			return // refused
		}
		env := environment(other)
		env.AppTiers[types.NamespacedName{Namespace: further.Namespace, Name: further.Name}] = further
		policies := slices.Concat(expand.NetworkPolicies(app, env), expand.NetworkPolicies(further, env))
		evaluator := reach.New(reach.Snapshot{Namespaces: world.Namespaces, Pods: world.Pods, Policies: policies})
		forEveryFlow(func(source, destination place, port model.Port) {
			r := reading{app, other}
			from, to := r.tierOf(source), r.tierOf(destination)
			ofApp := from != nil && slices.Contains(from.Isolate, v1alpha1.Egress) && !r.leaves(source, destination, port) ||
				to != nil && slices.Contains(to.Isolate, v1alpha1.Ingress) && !r.enters(source, destination, port)
			if ofApp && source.name != "kubernetes" && evaluator.Allowed(flow(source, destination, port)).Verdict == reach.Allow {
				t.Fatalf("%s to %s, %s %d: AppTier x does not declare it, and with AppTier z it is allowed", source.name, destination.name, port.Protocol, port.Start)
			}
		})
	})
}

func evaluatorOf(app, other *v1alpha1.AppTier) *reach.Evaluator {
	policies := expand.NetworkPolicies(app, environment(other))
	return reach.New(reach.Snapshot{Namespaces: world.Namespaces, Pods: world.Pods, Policies: policies})
}

func flow(source, destination place, port model.Port) reach.Flow {
	return reach.Flow{Source: source.endpoint(), Destination: destination.endpoint(), Protocol: port.Protocol, Port: port.Start}
}

// forEveryFlow visits the flows between two different places: a pod always reaches itself.
func forEveryFlow(visit func(source, destination place, port model.Port)) {
	for _, source := range everywhere {
		for _, destination := range everywhere {
			for _, port := range somePorts {
				if source != destination {
					visit(source, destination, port)
				}
			}
		}
	}
}

// No rendering has a list of peers that is empty, which means everyone, unless everyone is said.
func TestNoEmptyPeersUnlessEveryone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := drawAppTier(t)
		for _, policy := range expand.NetworkPolicies(app, environment(drawOther(t))) {
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
		policies := expand.NetworkPolicies(app, environment(drawOther(t)))
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
				forEveryFlow(func(source, destination place, port model.Port) {
					flow := flow(source, destination, port)
					if want, got := together.Allowed(flow), alone.Allowed(flow); want.Verdict != got.Verdict {
						t.Fatalf("%s, %s, %v: %s by itself, %s with the policy of the namespace", policy.Name, direction, flow, got, want)
					}
				})
			}
		}
	})
}

// The order of tiers, rules, peers and ports does not matter.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := drawAppTier(t)
		env := environment(drawOther(t))
		want := renderAll(t, app, env)
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
		if diff := cmp.Diff(want, renderAll(t, shuffled, env)); diff != "" {
			t.Fatalf("the order matters:\n%s", diff)
		}
	})
}

func renderAll(t *rapid.T, app *v1alpha1.AppTier, env expand.Environment) string {
	text, err := yaml.Marshal(expand.NetworkPolicies(app, env))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func saysEveryone(app *v1alpha1.AppTier) bool {
	everyone := func(p v1alpha1.Peer) bool { return p.Everyone != nil }
	more := reading{app: app}.everyTier()
	if slices.ContainsFunc(app.Spec.DNS.To, everyone) {
		return true
	}
	tiers := append([]v1alpha1.Tier{{Ingress: more.Ingress, Egress: more.Egress}}, app.Spec.Tiers...)
	return slices.ContainsFunc(tiers, func(tier v1alpha1.Tier) bool {
		return slices.ContainsFunc(tier.Ingress, func(r v1alpha1.IngressRule) bool { return slices.ContainsFunc(r.From, everyone) }) ||
			slices.ContainsFunc(tier.Egress, func(r v1alpha1.EgressRule) bool { return slices.ContainsFunc(r.To, everyone) })
	})
}
