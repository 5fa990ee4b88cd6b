package apptier

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// PortsMissing reports where a rule lists no ports, and no others apply.
var PortsMissing = register(check.Check{
	ID: "ports-missing", Severity: check.Reject, About: check.OfAppTiers,
	Title: "A rule without ports",
	Text: `Without ports, an ingress rule means the ports that the tier declares. If the tier declares none, write
` + "`allPorts: true`" + `.`,
})

// checkSaid refuses a rule with both ports and allPorts, and one with neither if no other ports apply.
func checkSaid(r *check.Report, path *field.Path, all bool, ports []v1alpha1.RulePort, isElsewhere bool, fix, why string) {
	switch {
	case all && len(ports) > 0:
		r.Find(netpol.Invalid, path.Child("allPorts"), "leave one of them out", "ports and allPorts contradict each other")
	case !all && len(ports) == 0 && !isElsewhere:
		r.Find(PortsMissing, path.Child("ports"), fix, "%s", why)
	}
}
