package apptier

import (
	"embed"
	"slices"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/world"
)

//go:embed examples
var examples embed.FS

// runs are the functions that make the checks of AppTiers that ByItself does not refuse, by check.
var runs = map[check.ID]func(*check.Report, *appView){}

// register adds a check of this package, and returns its ID.
func register(c check.Check) check.ID { return check.Register(c, examples) }

// Judge returns what is wrong or doubtful about an AppTier, which ByItself does not refuse, in a world. The lists need
// all AppTiers and Services, and the pods of the namespaces of the AppTier and of the Services that it names. They may
// leave out other pods.
func Judge(x *world.Index, app *v1alpha1.AppTier, meant expand.Expansion, w world.World, work *check.Work) []check.Finding {
	r, in := &check.Report{}, &appView{x, app, meant.Unresolved, w, work}
	for _, c := range check.All() {
		if run := runs[c.ID]; run != nil {
			run(r, in)
		}
	}
	checkAsPolicies(r, in)
	return r.Findings
}

// appView is an Index, and the AppTier judged in it, with the lists that come with it.
type appView struct {
	*world.Index
	App *v1alpha1.AppTier
	// unresolved are the references that match nothing.
	unresolved []expand.Unresolved
	world      world.World
	work       *check.Work
}

// besides are the other AppTiers of an AppTier's namespace that are not being deleted.
func besides(app *v1alpha1.AppTier, w world.World) []*v1alpha1.AppTier {
	return slices.DeleteFunc(slices.Clone(w.AppTiers), func(other *v1alpha1.AppTier) bool {
		return other.Namespace != app.Namespace || other.Name == app.Name || !other.DeletionTimestamp.IsZero()
	})
}
