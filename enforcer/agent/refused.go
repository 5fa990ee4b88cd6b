package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/nft"
)

// errRefused is the problem of a policy whose rules the kernel refuses.
var errRefused = errors.New("the kernel refuses its rules")

// closeRefused runs after the kernel has refused the table. It searches the policies whose rules are the
// reason, and closes them until they change: one bad policy must not stop the enforcement of others. It
// closes none if the kernel now accepts the table, or refuses every policy.
func (s *Syncer) closeRefused(ctx context.Context) (closed int, err error) {
	policies := s.compiler.Policies()
	refuseAll := func(refused []types.NamespacedName) {
		for _, p := range policies {
			s.compiler.Refuse(p.Namespace, p.Name, nil)
		}
		for _, p := range refused {
			s.compiler.Refuse(p.Namespace, p.Name, errRefused)
		}
	}
	search := &search{check: func(open []types.NamespacedName) error {
		refuseAll(slices.DeleteFunc(slices.Clone(policies), func(p types.NamespacedName) bool { return slices.Contains(open, p) }))
		table := s.compiler.Tracker().Table()
		return nft.Check(ctx, s.Kernel, nft.Replace(table))
	}}
	var found []types.NamespacedName
	if err = search.check(nil); err != nil {
		err = fmt.Errorf("no policy is to blame: %w", err)
	} else {
		found = search.culprits(policies)
	}
	refuseAll(found)
	return len(found), err
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
