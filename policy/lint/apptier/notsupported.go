package apptier

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
)

// NotSupported reports where a field has a meaning that this version does not implement yet.
var NotSupported = register(check.Check{
	ID: "not-supported", Severity: check.Reject, About: check.OfAppTiers,
	Title: "Not supported yet",
	Text: `The field has a meaning that this version does not implement. If it were ignored, people would rely on a rule
that does not exist.`,
})

// checkUnsupported refuses what this version does not implement: if it were ignored, people would rely on a rule that
// does not exist.
func checkUnsupported(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec) {
	if spec.Mode == v1alpha1.Audit {
		r.Find(NotSupported, path.Child("mode"), "use mode: Enforce, or leave it out", "mode Audit is not supported yet")
	}
}
