package webhooks

import (
	"errors"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/lint/check"
)

// withinBudget refuses policies that enforcers would refuse, because they, or all policies of their namespace, ask
// for too much; and warns above half. Before is their cost until now: a policy that asks for no more than before is
// not refused.
func withinBudget(limits budget.Limits, wanted, others []*networkingv1.NetworkPolicy, before budget.Cost) (out []check.Finding) {
	path := check.Path("spec")
	refuse := func(err error, cost budget.Cost) bool {
		var over *budget.ExceededError
		if !errors.As(err, &over) {
			return false
		}
		finding := check.Finding{Check: check.OverBudget, Severity: check.Reject, Path: path, Message: over.Error(),
			Fix: "above the limit, enforcers isolate its pods and allow nothing"}
		if cost.Within(before) {
			finding.Severity = check.Warn
		}
		out = append(out, finding)
		return true
	}
	var total, all budget.Cost
	for _, policy := range others {
		if cost := budget.Count(&policy.Spec); limits.Check(client.ObjectKeyFromObject(policy), cost) == nil { // others count for nothing
			total = total.Add(cost)
		}
	}
	for _, policy := range wanted {
		cost := budget.Count(&policy.Spec)
		all = all.Add(cost)
		if refuse(limits.Check(client.ObjectKeyFromObject(policy), cost), cost) {
			return out
		}
		total = total.Add(cost)
		if near := limits.Near(cost, budget.Cost{}); len(near) > 0 {
			out = append(out, nearBudget(path, policy.Name, near))
		}
	}
	if len(wanted) > 0 {
		last := wanted[len(wanted)-1]
		if refuse(limits.CheckNamespace(client.ObjectKeyFromObject(last), total), all) {
			return out
		}
		if near := limits.Near(budget.Cost{}, total); len(near) > 0 {
			out = append(out, nearBudget(path, last.Name, near))
		}
	}
	return out
}

func nearBudget(path check.Path, name string, near []string) check.Finding {
	return check.Finding{Check: check.OverBudget, Severity: check.Warn, Path: path,
		Message: "NetworkPolicy " + name + ": " + strings.Join(near, "; "),
		Fix:     "above the limit, enforcers refuse the policy: merge rules, or raise the budgets"}
}

// otherPolicies are the policies of a namespace that the request does not replace.
func (c *Cluster) otherPolicies(namespace string, replaced func(*networkingv1.NetworkPolicy) bool) []*networkingv1.NetworkPolicy {
	return slices.DeleteFunc(c.policies.in(namespace), replaced)
}
