package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
)

// errRefused is the problem of a policy whose rules the kernel refuses.
var errRefused = errors.New("the kernel refuses its rules")

// closeRefused runs after the kernel has refused the table. It searches the policies whose rules are the
// reason, and closes them until they change: one bad policy must not stop the enforcement of others. It
// closes none if the kernel now accepts the table, or refuses every policy. Staged policies are searched once the
// others are found, so that no enforced one is closed for what a staged one asks.
func (s *Syncer) closeRefused(ctx context.Context) (closed int, err error) {
	enforced := refusal{all: s.compiler.Policies(), refuse: s.compiler.Refuse, trial: errRefused}
	staged := refusal{all: s.compiler.StagedPolicies(), refuse: s.compiler.RefuseStaged, trial: compile.ErrTrial}
	check := func() error { return nft.Check(ctx, s.Kernel, nft.Replace(s.compiler.Tracker().Table())) }
	staged.close(staged.all, errRefused)
	if err = enforced.search(check); err == nil {
		err = staged.search(check)
	}
	if err != nil {
		enforced.close(nil, nil)
		staged.close(nil, nil)
	}
	return len(enforced.found) + len(staged.found), err
}

// refusal is policies of which the kernel may refuse some.
type refusal struct {
	all, found []types.NamespacedName
	refuse     func(namespace, name string, err error)
	// trial is why the rules of those are left out that are not tried.
	trial error
}

// close leaves out the rules of these alone.
func (r *refusal) close(these []types.NamespacedName, why error) {
	for _, p := range r.all {
		if slices.Contains(these, p) {
			r.refuse(p.Namespace, p.Name, why)
		} else {
			r.refuse(p.Namespace, p.Name, nil)
		}
	}
}

// search finds which make the check fail, and closes them.
func (r *refusal) search(check func() error) error {
	with := func(open []types.NamespacedName) error {
		r.close(slices.DeleteFunc(slices.Clone(r.all), func(p types.NamespacedName) bool { return slices.Contains(open, p) }), r.trial)
		return check()
	}
	if err := with(nil); err != nil {
		return fmt.Errorf("no policy is to blame: %w", err)
	}
	r.found = (&search{check: with}).culprits(r.all)
	r.close(r.found, errRefused)
	return nil
}

// search finds what makes a check fail.
type search struct {
	// check says whether the kernel takes the table with the rules of these policies alone.
	check func(open []types.NamespacedName) error
}

// culprits halves a list until it knows which of its policies the check fails for.
func (s *search) culprits(policies []types.NamespacedName) []types.NamespacedName {
	if len(policies) == 0 || s.check(policies) == nil {
		return nil
	}
	if len(policies) == 1 {
		return policies
	}
	half := len(policies) / 2
	found := append(s.culprits(policies[:half:half]), s.culprits(policies[half:])...)
	if len(found) == 0 {
		return policies // each half alone would do, but both do not
	}
	return found
}
