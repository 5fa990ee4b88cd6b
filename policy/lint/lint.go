// Package lint judges AppTiers and NetworkPolicies: it finds what would leak, break, or mean nothing. Every check has a
// stable ID, says where and why, and what to write instead. The admission webhook, the controller and the command line
// run the same checks.
package lint

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/widening"
	"github.com/apptier/apptier/policy/lint/world"
)

// Catalogue returns every check, by severity.
func Catalogue() []check.Check { return slices.Clone(check.All()) }

// NetworkPolicy is [JudgePolicy] for a world that is used once.
func NetworkPolicy(policy *networkingv1.NetworkPolicy, w world.World) []check.Finding {
	return JudgePolicy(world.NewIndex(w), policy, new(check.Work))
}

// JudgePolicy returns everything that is wrong or doubtful about a hand-written NetworkPolicy in a world. A check is
// exact or silent: it never guesses.
//
// If work.Err is not nil, the work exceeded its limit, and the result means nothing.
func JudgePolicy(index *world.Index, policy *networkingv1.NetworkPolicy, work *check.Work) []check.Finding {
	return netpol.Judge(index, policy, work)
}

// JudgeStaged is [JudgePolicy] for a policy that is not enforced. What would be refused of an enforced one is a warning,
// but for what no NetworkPolicy can say: a staged policy is to be enforced one day.
func JudgeStaged(index *world.Index, policy *networkingv1.NetworkPolicy, work *check.Work) []check.Finding {
	return check.Softened(netpol.Judge(index, policy, work), netpol.Invalid)
}

// AppTier returns what is invalid in an AppTier, or has no effect, in the order of its fields. The controller implements
// an AppTier that is not refused here. [AppTierIn] finds more.
func AppTier(app *v1alpha1.AppTier) []check.Finding { return apptier.ByItself(app) }

// Openings returns the hand-written policies of a world that open what an AppTier closes; see [widening.Openings].
// Each policy may take so many steps; 0 is no limit.
func Openings(app *v1alpha1.AppTier, w world.World, most int) []widening.Opening {
	return widening.Openings(world.NewIndex(w), app, func() *check.Work { return check.NewWork(most, nil) })
}
