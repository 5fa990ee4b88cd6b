// Package lint judges AppTiers and NetworkPolicies: what would leak, break, or mean nothing. Every check has a stable
// ID, says where and why, and hands over what to write instead. The admission webhook, the
// controller and the command line all run the same checks.
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

// Catalogue returns every check there is, the gravest first.
func Catalogue() []check.Check { return slices.Clone(check.All()) }

// NetworkPolicy returns what [JudgePolicy] does in a world that is asked only once.
func NetworkPolicy(policy *networkingv1.NetworkPolicy, w world.World) []check.Finding {
	return JudgePolicy(world.NewIndex(w), policy, new(check.Work))
}

// JudgePolicy returns everything that is wrong or doubtful about a hand-written NetworkPolicy in a world. A check is
// exact, or it is silent: it never guesses.
//
// It means nothing if it took more work than it may, as work.Err says.
func JudgePolicy(index *world.Index, policy *networkingv1.NetworkPolicy, work *check.Work) []check.Finding {
	return netpol.Judge(index, policy, work)
}

// AppTier returns what an AppTier says that cannot be meant, or has no effect, in the order of its fields: one that
// is not refused here has a meaning, which the controller brings about. [AppTierIn] finds more.
func AppTier(app *v1alpha1.AppTier) []check.Finding { return apptier.ByItself(app) }

// Openings returns the hand-written policies of a world that open what an AppTier closes, as [widening.Openings] does.
// Each policy may take so many steps, 0 for any number.
func Openings(app *v1alpha1.AppTier, w world.World, most int) []widening.Opening {
	return widening.Openings(world.NewIndex(w), app, func() *check.Work { return check.NewWork(most, nil) })
}
