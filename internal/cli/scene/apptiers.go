package scene

import (
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/apptier"
)

// AppTier is an AppTier of the input.
type AppTier struct {
	*v1alpha1.AppTier
	Source manifest.Object
}

// AppTiers are those among some objects, in their order.
func AppTiers(objects []manifest.Object) []AppTier {
	var apps []AppTier
	for _, o := range objects {
		if app, ok := o.Object.(*v1alpha1.AppTier); ok {
			apps = append(apps, AppTier{AppTier: app, Source: o})
		}
	}
	return apps
}

// checkAll runs every check on every AppTier, by itself and beside the others of its namespace that came
// before it.
func checkAll(apps []AppTier) []manifest.Finding {
	specs := specsOf(apps)
	var findings []manifest.Finding
	for _, app := range apps {
		for _, f := range append(lint.AppTier(app.AppTier), apptier.Conflicts(app.AppTier, specs)...) {
			findings = append(findings, manifest.Finding{Finding: f, Source: app.Source})
		}
	}
	return findings
}

func specsOf(apps []AppTier) []*v1alpha1.AppTier {
	specs := make([]*v1alpha1.AppTier, len(apps))
	for i, app := range apps {
		specs[i] = app.AppTier
	}
	return specs
}
