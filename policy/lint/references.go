package lint

import (
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// checkAppTierReference checks the names in a reference: a namespace may be left out.
func checkAppTierReference(r *check.Report, path *field.Path, reference *v1alpha1.AppTierReference) {
	checkNamespace(r, path.Child("namespace"), reference.Namespace)
	checkLabel(r, path.Child("name"), reference.Name)
	checkLabel(r, path.Child("tier"), reference.Tier)
}

func checkServiceReference(r *check.Report, path *field.Path, reference *v1alpha1.ServiceReference) {
	checkNamespace(r, path.Child("namespace"), reference.Namespace)
	checkLabel(r, path.Child("name"), reference.Name)
}

func checkNamespace(r *check.Report, path *field.Path, name string) {
	if name != "" {
		checkLabel(r, path, name)
	}
}

func checkLabel(r *check.Report, path *field.Path, name string) {
	for _, problem := range validation.IsDNS1123Label(name) {
		r.Find(netpol.Invalid, path, "write its metadata.name", "%q cannot be the name of anything: %s", name, problem)
	}
}
