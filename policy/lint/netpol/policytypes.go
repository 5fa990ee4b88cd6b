package netpol

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
)

// DeadRules reports where rules in a direction that is not isolated change nothing.
var DeadRules = register(check.Check{
	ID: "dead-rules", Severity: check.Warn, About: check.OfBoth,
	Title: "Rules without effect",
	Text:  `Rules of a direction that is not isolated change nothing: everything is allowed in that direction.`,
})

// PolicyTypesOmitted reports where, without policyTypes, a policy means something else than it seems to.
var PolicyTypesOmitted = register(check.Check{
	ID: "policy-types-omitted", Severity: check.Warn, About: check.OfPolicies, ByItself: true,
	Title: "policyTypes left out",
	Text: `Without policyTypes a policy isolates ingress, and egress if it has egress rules. So only egress rules deny all
ingress, and an empty list of them denies nothing.`,
})

func init() { runs[PolicyTypesOmitted] = checkTypes }

// checkTypes finds rules that have no effect, and directions that are open or closed by accident.
func checkTypes(r *check.Report, v *view) {
	spec := &v.Policy.Spec
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		if len(kube.Rules(v.Policy.NetworkPolicy, direction)) > 0 && !v.Policy.Isolates(direction) {
			r.Find(DeadRules, rulesPath(direction), "add "+string(direction)+" to policyTypes, or remove the rules",
				"policyTypes does not name %s, so these rules change nothing, and %s is not restricted", direction, word(direction))
		}
	}
	if len(spec.PolicyTypes) > 0 {
		return
	}
	switch {
	case len(spec.Egress) > 0 && len(spec.Ingress) == 0:
		r.Find(PolicyTypesOmitted, specPath.Child("policyTypes"),
			"write policyTypes: [Egress], or [Ingress, Egress] to deny all ingress",
			"without policyTypes a policy with egress rules also isolates ingress, and without ingress rules it denies all of it")
	case spec.Egress != nil && len(spec.Egress) == 0:
		r.Find(PolicyTypesOmitted, specPath.Child("policyTypes"), "write policyTypes: [Ingress, Egress] to deny egress, or leave egress out",
			"an empty list of egress rules without policyTypes denies nothing: egress stays open")
	}
}
