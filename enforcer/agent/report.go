package agent

import (
	"iter"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/nodereport"
	"github.com/apptier/apptier/policy/programmed"
)

// report has the node's report follow what is in the kernel.
func (a *Agent) report(to *nodereport.Reporter) {
	to.Node, to.Log, to.Owner, to.Reported = a.options.Node, a.options.Log, a.store.uid, a.store.reported
	to.Problems = func() []health.Problem {
		var problems []health.Problem
		for _, p := range a.options.Health.Problems(time.Now()) {
			// The version says what is not known. And all nodes would write at once when the API server is back.
			if p.Reason != notWatched {
				problems = append(problems, p)
			}
		}
		return problems
	}
	a.syncer.Committed = func(c *compile.Compiler, problems []compile.Problem) {
		to.Committed(a.store.committed(c.LocalNamespaces(), to.Written(), problems))
	}
}

// committed is what the kernel holds, once it holds all that was told.
func (s *store) committed(local iter.Seq[string], written programmed.Versions, problems []compile.Problem) nodereport.Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return nodereport.Commit{
		Versions: s.told,
		Owed: max(s.policies.events.Owes(s.told.NetworkPolicies, written.NetworkPolicies, local),
			s.staged.events.Owes(s.told.StagedNetworkPolicies, written.StagedNetworkPolicies, local)),
		NotAsWritten: notAsWritten(problems),
	}
}

// notAsWritten are the enforced policies that have problems.
func notAsWritten(problems []compile.Problem) []string {
	var out []string
	for _, p := range problems {
		if !p.Staged() {
			out = append(out, p.Policy)
		}
	}
	return programmed.NotAsWritten(out)
}

// reported forgets events that were reported.
func (s *store) reported(versions programmed.Versions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies.events.Reported(versions.NetworkPolicies)
	s.staged.events.Reported(versions.StagedNetworkPolicies)
}

// uid is that of the node's object; empty if it is not known.
func (s *store) uid() types.UID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if node := s.nodes.objects[types.NamespacedName{Name: s.node}]; node != nil {
		return node.UID
	}
	return ""
}
