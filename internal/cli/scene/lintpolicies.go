package scene

import (
	"context"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

// Judge returns what every check finds in some objects of a scene: AppTiers first, then NetworkPolicies
// written by hand.
func (s *Scene) Judge(ctx context.Context, judged []manifest.Object, settings environment.Settings) ([]manifest.Finding, error) {
	meant, err := s.expand(ctx, settings)
	if err != nil {
		return nil, err
	}
	around := s.world(meant)
	around.DNSService = settings.DNSService
	index := world.NewIndex(around)
	var findings []manifest.Finding
	add := func(source manifest.Object, found []check.Finding) {
		for _, f := range found {
			findings = append(findings, manifest.Finding{Finding: f, Source: source})
		}
	}
	for _, app := range AppTiers(judged) {
		meaning := lint.Meaning{App: app.AppTier, Findings: lint.AppTier(app.AppTier), Expansion: meant.expansions[app.AppTier]}
		found := lint.JudgeAppTier(index, meaning, around, new(check.Work))
		for _, f := range append(meant.Findings, s.missing(meant.unresolved)...) {
			// The checks of a world know no age in manifests, where everything is about to be created.
			if f.Source.Object == app.Source.Object && !slices.Contains(found, f.Finding) {
				found = append(slices.DeleteFunc(found, isNotJudgedAt(f.Path)), f.Finding)
			}
		}
		add(app.Source, found)
	}
	for _, source := range HandWritten(judged) {
		add(source, lint.JudgePolicy(index, source.Object.(*networkingv1.NetworkPolicy), new(check.Work)))
	}
	for _, source := range StagedByHand(judged) {
		add(source, lint.JudgeStaged(index, source.Object.(*v1alpha1.StagedNetworkPolicy).NetworkPolicy(), new(check.Work)))
	}
	return append(findings, s.NotJudged()...), nil
}

// isNotJudgedAt says whether a finding is that a field is not judged.
func isNotJudgedAt(path check.Path) func(check.Finding) bool {
	return func(f check.Finding) bool { return f.Check == check.NotJudged && f.Path == path }
}

// expand expands every AppTier of the scene. Those of the input are judged as admission would: beside
// all that are in the cluster, however young those are.
func (s *Scene) expand(ctx context.Context, settings environment.Settings) (Expanded, error) {
	input, live := AppTiers(s.Input), AppTiers(s.Live)
	findings := checkAll(input)
	for _, app := range input {
		for _, other := range live {
			if other.Namespace != app.Namespace {
				continue
			}
			for _, f := range apptier.SameNamespaceAs(app.AppTier, other.AppTier) {
				findings = append(findings, manifest.Finding{Finding: f, Source: app.Source})
			}
		}
	}
	findings = append(findings, checkAll(live)...)
	return expandAccepted(ctx, slices.Concat(input, live), findings, settings, InputWorld(s.Objects()))
}

// world is the scene as a world for judging policies, with those of AppTiers. AppTiers
// that are refused keep in a cluster what they last stood for; in manifests nobody can say.
func (s *Scene) world(meant Expanded) world.World {
	var objects []runtime.Object
	var pretending []*networkingv1.NetworkPolicy
	for _, o := range s.Objects() {
		policy, ok := o.Object.(*networkingv1.NetworkPolicy)
		switch {
		case !ok || !world.IsGenerated(policy):
			objects = append(objects, o.Object)
		case !isGeneratedIn(o, policy):
			pretending = append(pretending, policy)
		case isReplaced(policy, meant.Accepted), !o.IsLive() && isReplaced(policy, AppTiers(s.Input)):
		default:
			objects = append(objects, o.Object)
		}
	}
	around := world.Of(objects)
	around.MorePods = s.strangers
	around.Policies = append(around.Policies, pretending...)
	around.Generated = append(around.Generated, meant.Policies...)
	if s.Unread != nil {
		around.Known = world.Parts{} // no check may rely on what is not there: it may be in what was not read
	}
	if s.whole {
		around.Whole, around.Known = true, world.Parts{Namespaces: true, AppTiers: true, Pods: true, Services: true, Policies: true}
	}
	return around
}
