package programmed

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Need is what a node must have in its kernel.
type Need struct {
	// Versions are those of the latest changes of the AppTier's policies; 0 if it has none of a kind.
	Versions
	// Policies are the AppTier's NetworkPolicies, by "namespace/name".
	Policies []string
	// Enforced says that they are to be enforced, and not only to be observed.
	Enforced bool
}

// Verdict is what follows from a node's report.
type Verdict int

const (
	// Behind means that the node does not have the policies, or has not said so.
	Behind Verdict = iota
	// Programmed means that packets of the node obey them.
	Programmed
	// NotOurs means that no enforcer of this project enforces on the node. Another one may.
	NotOurs
)

// On says whether a node meets the need, by its report, which is nil if there is none; and why not.
func (n Need) On(report *v1alpha1.NodeReport) (verdict Verdict, why string) {
	if report == nil {
		return Behind, "no enforcer reports"
	}
	s := &report.Status
	if n.Enforced && s.Mode != v1alpha1.EnforcerEnforces {
		return NotOurs, "the enforcer only observes"
	}
	if len(s.Problems) > 0 {
		return Behind, "not ready: " + strings.Join(s.Problems, ", ")
	}
	if n.NetworkPolicies > ParseVersion(s.NetworkPolicies) {
		return Behind, "the latest change is not in the kernel"
	}
	if n.StagedNetworkPolicies > ParseVersion(s.StagedNetworkPolicies) {
		if s.StagedNetworkPolicies == "" {
			return Behind, "the enforcer does not watch StagedNetworkPolicies"
		}
		return Behind, "the latest change of StagedNetworkPolicies is not known"
	}
	for _, policy := range n.Policies {
		namespace, _, _ := strings.Cut(policy, "/")
		if slices.Contains(s.NotAsWritten, policy) || slices.Contains(s.NotAsWritten, namespace+"/*") {
			return Behind, fmt.Sprintf("%s allows less than it says; see its Events", policy)
		}
	}
	return Programmed, ""
}

// mostNotAsWritten is how many policies a report names one by one.
const mostNotAsWritten = 32

// NotAsWritten shortens a list of policies, by "namespace/name", to what a report has room for.
func NotAsWritten(policies []string) []string {
	list := slices.Compact(slices.Sorted(slices.Values(policies)))
	if len(list) <= mostNotAsWritten {
		return list
	}
	for i, policy := range list {
		namespace, _, _ := strings.Cut(policy, "/")
		list[i] = namespace + "/*"
	}
	return slices.Compact(list) // a node has pods of fewer namespaces than the schema takes
}
