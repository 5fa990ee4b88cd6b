package agent

import (
	"context"
	"errors"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
)

// errRefused is what is wrong with a policy whose rules the kernel does not take.
var errRefused = errors.New("the kernel refuses its rules")

// refused are the policies that the kernel refuses, by name, with their version: a policy that is
// changed gets another chance.
type refused map[string]string

// in returns those that are still as they were in the snapshot.
func (r refused) in(snapshot reach.Snapshot) map[string]error {
	closed := map[string]error{}
	for _, p := range snapshot.Policies {
		if version, ok := r[policyName(p)]; ok && version == p.ResourceVersion {
			closed[policyName(p)] = errRefused
		}
	}
	return closed
}

func policyName(p *networkingv1.NetworkPolicy) string { return p.Namespace + "/" + p.Name }

// findRefused looks for the policies without whose rules the kernel would take the table, after it
// has refused it. They are to be enforced closed: what one of them breaks must not keep the others
// from being enforced. It finds none when the kernel takes the table after all, or refuses every one.
func (s *Syncer) findRefused(ctx context.Context, snapshot reach.Snapshot) (refused, error) {
	versions := refused{}
	for _, p := range snapshot.Policies {
		versions[policyName(p)] = p.ResourceVersion
	}
	search := &search{check: func(open []string) error {
		closed := map[string]error{}
		for name := range versions {
			closed[name] = errRefused
		}
		for _, name := range open {
			delete(closed, name)
		}
		return nft.Check(ctx, s.Kernel, nft.Replace(compile.CompileExcept(snapshot, s.Node, closed).Table(s.generation)))
	}}
	var inUse []string
	for _, g := range compile.Compile(snapshot, s.Node).Groups {
		inUse = append(inUse, g.Policies...)
	}
	if err := search.check(nil); err != nil {
		return nil, fmt.Errorf("no policy is to blame: %w", err)
	}
	found := refused{}
	for _, name := range search.culprits(inUse) {
		found[name] = versions[name]
	}
	return found, nil
}

// search finds what makes a check fail.
type search struct {
	// check tells whether the kernel takes the table with the rules of these policies alone.
	check func(open []string) error
}

// culprits halves a list until it knows which of its policies the check fails for.
func (s *search) culprits(policies []string) []string {
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
