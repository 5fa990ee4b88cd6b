package cli

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/policy/lint"
)

// handWritten returns the NetworkPolicies of the input that no AppTier stands for.
func handWritten(objects []object) []object {
	var out []object
	for _, o := range objects {
		if policy, ok := o.Object.(*networkingv1.NetworkPolicy); ok && !lint.IsGenerated(policy) {
			out = append(out, o)
		}
	}
	return out
}

// checkPolicies judges NetworkPolicies in the world that the input makes. AppTiers that are refused
// are left out of it: nobody can say what they stand for.
func checkPolicies(ctx context.Context, objects []object, policies []object, managed *clusterOptions) ([]finding, error) {
	s, err := managed.settings()
	if err != nil {
		return nil, err
	}
	world := lint.WorldOf(worldObjects(objects))
	out, err := expandAll(ctx, appTiers(objects), s, inputWorld(objects))
	if err != nil {
		return nil, err
	}
	world.Generated = append(world.Generated, out.policies...)
	var findings []finding
	for _, source := range policies {
		for _, f := range lint.NetworkPolicy(source.Object.(*networkingv1.NetworkPolicy), world) {
			findings = append(findings, finding{Finding: f, source: source})
		}
	}
	return findings, nil
}

// worldObjects are the objects of the input but for policies that its AppTiers replace.
func worldObjects(objects []object) []runtime.Object {
	var out []runtime.Object
	for _, o := range objects {
		if policy, ok := o.Object.(*networkingv1.NetworkPolicy); ok && isReplaced(policy, objects) {
			continue
		}
		out = append(out, o.Object)
	}
	return out
}
