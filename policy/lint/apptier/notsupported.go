package apptier

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
)

// NotSupported is found where a field has a meaning that this version does not implement yet.
var NotSupported = register(check.Check{
	ID: "not-supported", Severity: check.Reject, About: check.OfAppTiers,
	Title: "Not supported yet",
	Text: `The field has a meaning that this version does not implement. Ignoring it would leave people believing in a
rule that is not there.`,
})

// checkUnsupported refuses what this version does not implement: ignoring it would leave people
// believing in a rule that is not there.
func checkUnsupported(r *check.Report, path *field.Path, spec *v1alpha1.AppTierSpec) {
	if spec.Mode == v1alpha1.Audit {
		r.Find(NotSupported, path.Child("mode"), "use mode: Enforce, or leave it out", "mode Audit is not supported yet")
	}
}
