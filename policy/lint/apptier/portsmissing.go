package apptier

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// PortsMissing is found where a rule says no ports, and there are none to stand in for them.
var PortsMissing = register(check.Check{
	ID: "ports-missing", Severity: check.Reject, About: check.OfAppTiers,
	Title: "A rule without ports",
	Text: `Without ports, an ingress rule means those that the tier declares. If there are none, it has to say
` + "`allPorts: true`" + `.`,
})

// checkSaid refuses a rule that says its ports twice, and one that does not although nothing stands in for them.
func checkSaid(r *check.Report, path *field.Path, all bool, ports []v1alpha1.RulePort, isElsewhere bool, fix, why string) {
	switch {
	case all && len(ports) > 0:
		r.Find(netpol.Invalid, path.Child("allPorts"), "leave one of them out", "ports and allPorts contradict each other")
	case !all && len(ports) == 0 && !isElsewhere:
		r.Find(PortsMissing, path.Child("ports"), fix, "%s", why)
	}
}
