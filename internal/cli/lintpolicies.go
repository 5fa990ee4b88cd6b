package cli

import (
	"context"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/lint"
)

// judge returns what every check finds in some objects of a scene: AppTiers first, then NetworkPolicies
// written by hand.
func (s *scene) judge(ctx context.Context, judged []object, settings environment.Settings) ([]finding, error) {
	meant, err := s.expand(ctx, settings)
	if err != nil {
		return nil, err
	}
	findings := slices.Concat(meant.findings, s.unresolved(meant.unresolved))
	findings = slices.DeleteFunc(findings, func(f finding) bool {
		return !slices.ContainsFunc(judged, func(o object) bool { return o.Object == f.source.Object })
	})
	slices.SortStableFunc(findings, func(a, b finding) int { return indexOf(judged, a) - indexOf(judged, b) })
	index := lint.NewIndex(s.world(meant))
	for _, source := range handWritten(judged) {
		for _, f := range index.NetworkPolicy(source.Object.(*networkingv1.NetworkPolicy)) {
			findings = append(findings, finding{Finding: f, source: source})
		}
	}
	return findings, nil
}

func indexOf(objects []object, f finding) int {
	return slices.IndexFunc(objects, func(o object) bool { return o.Object == f.source.Object })
}

// expand expands every AppTier of the scene. Those of the input are judged as admission would: beside
// all that are in the cluster, however young those are.
func (s *scene) expand(ctx context.Context, settings environment.Settings) (expanded, error) {
	input, live := appTiers(s.input), appTiers(s.live)
	findings := check(input)
	for _, app := range input {
		for _, other := range live {
			if other.Namespace != app.Namespace {
				continue
			}
			for _, f := range lint.SameNamespaceAs(app.AppTier, other.AppTier) {
				findings = append(findings, finding{Finding: f, source: app.source})
			}
		}
	}
	findings = append(findings, check(live)...)
	return expandAccepted(ctx, slices.Concat(input, live), findings, settings, inputWorld(s.objects()))
}

// world is the scene as what policies are judged against, with those that AppTiers stand for. AppTiers
// that are refused keep in a cluster what they last stood for; in manifests nobody can say.
func (s *scene) world(meant expanded) lint.World {
	var objects []runtime.Object
	var pretending []*networkingv1.NetworkPolicy
	for _, o := range s.objects() {
		policy, ok := o.Object.(*networkingv1.NetworkPolicy)
		switch {
		case !ok || !lint.IsGenerated(policy):
			objects = append(objects, o.Object)
		case !isGeneratedIn(o, policy):
			pretending = append(pretending, policy)
		case isReplaced(policy, meant.accepted), !o.isLive() && isReplaced(policy, appTiers(s.input)):
		default:
			objects = append(objects, o.Object)
		}
	}
	world := lint.WorldOf(objects)
	world.Policies = append(world.Policies, pretending...)
	world.Generated = append(world.Generated, meant.policies...)
	if s.whole {
		world.Whole, world.Known = true, lint.Parts{Namespaces: true, Pods: true, Services: true, Policies: true}
	}
	return world
}
