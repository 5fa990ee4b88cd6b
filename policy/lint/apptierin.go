package lint

import (
	"slices"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// Meaning is what an AppTier says by itself, and what it stands for.
type Meaning struct {
	App *v1alpha1.AppTier
	// Findings are those of [AppTier].
	Findings []Finding
	// Expansion is empty for one that is refused: it stands for nothing.
	Expansion expand.Expansion
}

// IsRefused says whether the AppTier is refused by itself.
func (m Meaning) IsRefused() bool {
	return slices.ContainsFunc(m.Findings, func(f Finding) bool { return f.Severity == Reject })
}

// MeaningOf works out what an AppTier means. The environment is looked up only for one that is not refused; an error
// is that of the look-up.
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

// AppTierIn returns everything that is wrong or doubtful about an AppTier in a world: what AppTier and
// Conflicts find, and what shows only beside other objects. A check that needs what is not known stays
// silent. What is not there yet is warned about, and no reason to refuse: it may be applied after.
func AppTierIn(app *v1alpha1.AppTier, world World) []Finding {
	meaning, _ := MeaningOf(app, func() (expand.Environment, error) { return environmentOf(app, world), nil })
	return NewIndex(world).AppTier(meaning, world, unbounded())
}

// AppTier returns what [AppTierIn] does of an AppTier whose meaning is known, in a world that is prepared already. The
// lists are still asked for the AppTiers and Services there are, and for the pods of the namespaces of the AppTier
// itself and of the Services that it names: of others they may be left out.
//
// It means nothing if it took more work than it may, as work.Err says.
func (x *Index) AppTier(of Meaning, world World, work *Work) []Finding {
	app := of.App
	r := &report{findings: slices.Concat(of.Findings, Conflicts(app, world.AppTiers))}
	checkOverlap(r, app, world)
	if of.IsRefused() {
		return r.findings // the rest has no meaning
	}
	in := &appView{x, of, world, work}
	for _, check := range all() {
		if check.AppTier != nil {
			check.AppTier(r, in)
		}
	}
	x.checkAsPolicies(r, app, world, work)
	return r.findings
}

// appView is an Index, and the AppTier judged in it, with the lists that come with it.
type appView struct {
	*Index
	Meaning
	world World
	work  *Work
}

// besides are the other AppTiers of an AppTier's namespace that are to stay.
func besides(app *v1alpha1.AppTier, world World) []*v1alpha1.AppTier {
	return slices.DeleteFunc(slices.Clone(world.AppTiers), func(other *v1alpha1.AppTier) bool {
		return other.Namespace != app.Namespace || other.Name == app.Name || !other.DeletionTimestamp.IsZero()
	})
}
