package netpol

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
)

// RuleAllowsEveryone reports where a rule that reads like no one allows everyone.
var RuleAllowsEveryone = register(check.Check{
	ID: "rule-allows-everyone", Severity: check.Warn, About: check.OfPolicies, ByItself: true,
	Title: "A rule that reads like no one, and allows everyone",
	Text: `An empty list of peers means everyone. To deny everyone, write no rule at all. Rules with only ports, the only
rule of a policy for all pods, and the only egress rule are not reported. If the only rule is empty, the finding is a
note.`,
})

func init() { runs[RuleAllowsEveryone] = checkEveryone }

// checkEveryone finds rules that allow everyone in a form that reads like no one. Three forms are known to be
// deliberate: only ports, as in policies of webhook servers; the only rule of a policy for every pod; and the only
// egress rule, which leaves egress open beside isolated ingress.
func checkEveryone(r *check.Report, v *view) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		rules := kube.Rules(v.Policy.NetworkPolicy, direction)
		for i, rule := range rules {
			explicit := rule.Peers != nil && len(rule.Peers) == 0
			bare := len(rule.Peers) == 0 && len(rule.Ports) == 0
			meant := len(rules) == 1 && (direction == egress || words.IsEmpty(&v.Policy.Spec.PodSelector))
			switch {
			case bare && len(rules) > 1:
				r.Find(RuleAllowsEveryone, rulesPath(direction).Index(i), "remove it, or remove the other rules",
					"an empty rule allows everyone on every port, so the other %s rules change nothing", word(direction))
			case bare && !meant:
				// A rule {} is nearly always deliberate: in public manifests, all were.
				r.Add(RuleAllowsEveryone, check.Note, rulesPath(direction).Index(i),
					"name peers or ports; to deny everyone, write "+word(direction)+": []",
					"an empty rule allows everyone on every port, inside the cluster and outside")
			case explicit && !meant:
				r.Find(RuleAllowsEveryone, peersPath(direction, i), "name peers, or leave the list out if everyone is meant",
					"an empty list of peers allows everyone, inside the cluster and outside, though it reads like no one")
			}
		}
	}
}
