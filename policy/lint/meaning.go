package lint

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/model"
)

// Meaning is an AppTier's own findings, and its policies.
type Meaning struct {
	App *v1alpha1.AppTier
	// Findings are those of [AppTier].
	Findings []check.Finding
	// Expansion is empty if the AppTier is refused: it has no policies.
	Expansion expand.Expansion
}

// IsRefused says whether the AppTier is refused by itself.
func (m Meaning) IsRefused() bool {
	return slices.ContainsFunc(m.Findings, func(f check.Finding) bool { return f.Severity == check.Reject })
}

// MeaningOf computes the meaning of an AppTier. It looks up the environment only if the AppTier is not refused, and
// returns an error of the look-up.
func MeaningOf(app *v1alpha1.AppTier, lookUp func() (expand.Environment, error)) (Meaning, error) {
	meaning := Meaning{App: app, Findings: AppTier(app)}
	if meaning.IsRefused() {
		return meaning, nil
	}
	env, err := lookUp()
	if err == nil {
		meaning.Expansion = expand.Expand(app, env)
	}
	return meaning, err
}

// AppTierIn returns everything that is wrong or doubtful about an AppTier in a world: the findings of AppTier and
// [apptier.Conflicts], and those that need other objects. A check that needs what is not known is silent. Missing objects
// cause warnings, not refusals: they may be applied later.
func AppTierIn(app *v1alpha1.AppTier, w world.World) []check.Finding {
	meaning, _ := MeaningOf(app, func() (expand.Environment, error) { return environmentOf(app, w), nil })
	return JudgeAppTier(world.NewIndex(w), meaning, w, new(check.Work))
}

// JudgeAppTier is [AppTierIn] for an AppTier whose meaning is known, in a prepared world. The lists still need all
// AppTiers and Services, and the pods of the namespaces of the AppTier and of the Services that it names. They may leave
// out other pods.
//
// If work.Err is not nil, the work exceeded its limit, and the result means nothing.
func JudgeAppTier(index *world.Index, of Meaning, w world.World, work *check.Work) []check.Finding {
	findings := slices.Concat(of.Findings, apptier.Conflicts(of.App, w.AppTiers), apptier.Overlaps(of.App, w))
	if of.IsRefused() {
		return findings // the rest has no meaning
	}
	return append(findings, apptier.Judge(index, of.App, of.Expansion, w, work)...)
}

// environmentOf is what a world knows about an AppTier's references.
func environmentOf(app *v1alpha1.AppTier, w world.World) expand.Environment {
	references, env := model.ReferencesOf(app), expand.DefaultEnvironment()
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	env.Services = map[types.NamespacedName]expand.Service{}
	for _, other := range w.AppTiers {
		key := kube.NameOf(other)
		if slices.Contains(references.AppTiers, key) && other.DeletionTimestamp.IsZero() &&
			len(check.WithSeverity(AppTier(other), check.Reject)) == 0 {
			env.AppTiers[key] = other
		}
	}
	for _, service := range w.Services {
		key := kube.NameOf(service)
		if slices.Contains(references.Services, key) {
			env.Services[key] = expand.ServiceOf(service, w.PodsIn(service.Namespace))
		}
	}
	return env
}
