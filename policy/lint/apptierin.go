package lint

import (
	"slices"

	"github.com/apptier/apptier/api/v1alpha1"
)

// AppTierIn returns everything that is wrong or doubtful about an AppTier in a world: what AppTier and
// Conflicts find, and what shows only beside other objects. A check that needs what is not known stays
// silent. What is not there yet is warned about, and no reason to refuse: it may be applied after.
func AppTierIn(app *v1alpha1.AppTier, world World) []Finding {
	return NewIndex(world).AppTier(app, world)
}

// AppTier returns what [AppTierIn] does in a world that is prepared already. The lists are still asked
// for the AppTiers and Services there are, and for the pods of the namespaces of the AppTier itself and
// of the Services that it names: of others they may be left out.
func (x *Index) AppTier(app *v1alpha1.AppTier, world World) []Finding {
	return x.AppTierWithin(app, world, unbounded())
}

// AppTierWithin returns what [Index.AppTier] does, if that takes no more work than it may; work.Err says
// whether it did, and nothing that is returned then means anything.
func (x *Index) AppTierWithin(app *v1alpha1.AppTier, world World, work *Work) []Finding {
	byItself := AppTier(app)
	r := &report{findings: slices.Concat(byItself, Conflicts(app, world.AppTiers))}
	checkOverlap(r, app, world)
	if len(WithSeverity(byItself, Reject)) > 0 {
		return r.findings // the rest has no meaning
	}
	in := &appView{x, app, world}
	for _, check := range all() {
		if check.AppTier != nil {
			check.AppTier(r, in)
		}
	}
	x.checkAsPolicies(r, app, world, work)
	return r.findings
}

// appView is an Index, and the AppTier judged in it, with the lists that [Index.AppTier] is asked with.
type appView struct {
	*Index
	app   *v1alpha1.AppTier
	world World
}

// besides are the other AppTiers of an AppTier's namespace that are to stay.
func besides(app *v1alpha1.AppTier, world World) []*v1alpha1.AppTier {
	return slices.DeleteFunc(slices.Clone(world.AppTiers), func(other *v1alpha1.AppTier) bool {
		return other.Namespace != app.Namespace || other.Name == app.Name || !other.DeletionTimestamp.IsZero()
	})
}
