package lint

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/kube"
)

// RuleAllowsEveryone is found where a rule that reads like no one allows everyone.
const RuleAllowsEveryone ID = "rule-allows-everyone"

func init() {
	register(Check{
		ID: RuleAllowsEveryone, Severity: Warn, About: ofPolicies,
		Title: "A rule that reads like no one, and allows everyone",
		Text: `An empty list of peers means everyone. To deny everyone, write no rule at all. Rules with ports alone, the only
rule of a policy for all pods, and the only egress rule are taken as meant; of an only rule that says nothing at all, it is
no more than a note.`,
		Policy: checkEveryone, ByItself: true,
	})
}

// DeadRules is found where rules in a direction that is not isolated change nothing.
const DeadRules ID = "dead-rules"

func init() {
	register(Check{
		ID: DeadRules, Severity: Warn, About: ofBoth,
		Title: "Rules without effect",
		Text:  `Rules of a direction that is not isolated change nothing: everything is allowed in that direction.`,
	})
}

// PolicyTypesOmitted is found where without policyTypes, the policy means something else than it seems to.
const PolicyTypesOmitted ID = "policy-types-omitted"

func init() {
	register(Check{
		ID: PolicyTypesOmitted, Severity: Warn, About: ofPolicies,
		Title: "policyTypes left out",
		Text: `Without policyTypes a policy is about ingress, and about egress too if it has egress rules. So egress rules
alone deny all ingress, and an empty list of them denies nothing.`,
		Policy: checkTypes, ByItself: true,
	})
}

// checkTypes finds rules that have no effect, and directions that are open or closed unawares.
func checkTypes(r *report, v *view) {
	spec := &v.policy.Spec
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		if len(kube.Rules(v.policy.NetworkPolicy, direction)) > 0 && !v.policy.isolates(direction) {
			r.find(DeadRules, rulesPath(direction), "add "+string(direction)+" to policyTypes, or remove the rules",
				"policyTypes does not name %s, so these rules change nothing, and %s is not restricted", direction, word(direction))
		}
	}
	if len(spec.PolicyTypes) > 0 {
		return
	}
	switch {
	case len(spec.Egress) > 0 && len(spec.Ingress) == 0:
		r.find(PolicyTypesOmitted, specPath.Child("policyTypes"), "write policyTypes: [Egress], or [Ingress, Egress] if every ingress is to be denied",
			"without policyTypes a policy with egress rules is about ingress too, and without ingress rules that denies all of it")
	case spec.Egress != nil && len(spec.Egress) == 0:
		r.find(PolicyTypesOmitted, specPath.Child("policyTypes"), "write policyTypes: [Ingress, Egress] to deny egress, or leave egress out",
			"an empty list of egress rules without policyTypes denies nothing: egress stays open")
	}
}

func word(direction networkingv1.PolicyType) string { return strings.ToLower(string(direction)) }

// checkEveryone finds rules that allow everyone in a form that reads like no one. Three forms are
// known to be meant: ports alone, as webhook servers have them; the only rule of a policy for every
// pod; and the only egress rule, which leaves egress open beside isolated ingress.
func checkEveryone(r *report, v *view) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		rules := kube.Rules(v.policy.NetworkPolicy, direction)
		for i, rule := range rules {
			explicit := rule.Peers != nil && len(rule.Peers) == 0
			bare := len(rule.Peers) == 0 && len(rule.Ports) == 0
			meant := len(rules) == 1 && (direction == egress || isEmpty(&v.policy.Spec.PodSelector))
			switch {
			case bare && len(rules) > 1:
				r.find(RuleAllowsEveryone, rulesPath(direction).Index(i), "remove it, or remove the other rules",
					"an empty rule allows everyone on every port, so the other %s rules change nothing", word(direction))
			case bare && !meant:
				// Whoever writes a rule as {} nearly always means it: in public manifests, all did.
				r.add(RuleAllowsEveryone, Note, rulesPath(direction).Index(i), "name peers or ports; to deny everyone, write "+word(direction)+": []",
					"an empty rule allows everyone on every port, inside the cluster and outside")
			case explicit && !meant:
				r.find(RuleAllowsEveryone, peersPath(direction, i), "name peers, or leave the list out if everyone is meant",
					"an empty list of peers allows everyone, inside the cluster and outside, though it reads like no one")
			}
		}
	}
}
