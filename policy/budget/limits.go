package budget

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Limits are the most that one policy, and all policies of one namespace together, may ask for.
type Limits struct {
	Policy    Cost
	Namespace Cost
}

// Defaults are what an enforcer with 512 MiB can take from one namespace, with room for others; see docs/limits.md.
func Defaults() Limits {
	return Limits{
		Policy: Cost{Rules: 500, Peers: 500, Blocks: 5000, Ports: 1000, Requirements: 5000, Copies: 20_000, Addresses: 100_000, Depth: 32},
		Namespace: Cost{Rules: 2000, Peers: 1000, Blocks: 20_000, Ports: 20_000, Requirements: 20_000, Copies: 100_000, Addresses: 200_000,
			Depth: 64},
	}
}

// few addresses are always allowed, however few pods there are.
const few = 2000

// In returns the limits in a cluster whose pods have so many addresses. A pod that comes or goes is put into a
// set for each peer that selects it, whosever pod it is, so peers that select most of the pods must be few.
func (l Limits) In(addresses int) Limits {
	for _, c := range []*Cost{&l.Policy, &l.Namespace} {
		c.Addresses = min(c.Addresses, few+c.Depth*addresses)
	}
	return l
}

// Names of the flags that set limits, of the manager and of the enforcer alike, and what they say.
const (
	PolicyFlag    = "policy-budget"
	NamespaceFlag = "namespace-budget"
	PolicyHelp    = "Limits of one NetworkPolicy; a policy above a limit is refused: it isolates its pods, and allows nothing."
	NamespaceHelp = "Limits of all NetworkPolicies of one namespace together; the youngest above a limit are refused."
)

// Excess is one part of a cost, beside its limit.
type Excess struct {
	// Item is "rules", "peers", "blocks", "ports", "requirements", "copies" or "addresses".
	Item  string
	Count int
	Limit int
}

func (e Excess) String() string { return fmt.Sprintf("%d %s of %d", e.Count, e.Item, e.Limit) }

// ExceededError says that a policy exceeds a limit.
type ExceededError struct {
	Policy types.NamespacedName
	// Namespace tells that it is all policies of its namespace that would, together with this one.
	Namespace bool
	// Excess is at least one.
	Excess []Excess
}

// Error names the policy, what it asks for, what it may, and what to do.
func (e *ExceededError) Error() string {
	var counts, least []string
	for _, x := range e.Excess {
		counts = append(counts, fmt.Sprintf("%d %s, more than the %d", x.Count, x.Item, x.Limit))
		least = append(least, fmt.Sprintf("%s=%d", x.Item, x.Count))
	}
	all, raised := strings.Join(counts, ", and "), strings.Join(least, ",")
	if e.Namespace {
		return fmt.Sprintf("NetworkPolicy %s: with it the policies of namespace %s have %s that a namespace may have: "+
			"remove what is not needed, join peers, or have --%s=%s set", e.Policy, e.Policy.Namespace, all, NamespaceFlag, raised)
	}
	return fmt.Sprintf("NetworkPolicy %s has %s that a policy may have: split it, or let fewer rules and selectors say the same, "+
		"or have --%s=%s set", e.Policy, all, PolicyFlag, raised)
}

// Is tells whether the other says the same.
func (e *ExceededError) Is(other error) bool {
	o, ok := other.(*ExceededError)
	return ok && e.Policy == o.Policy && e.Namespace == o.Namespace && slices.Equal(e.Excess, o.Excess)
}

// Check returns an ExceededError if a policy exceeds its limits.
func (l Limits) Check(policy types.NamespacedName, c Cost) error {
	if over := c.over(l.Policy); len(over) > 0 {
		return &ExceededError{Policy: policy, Excess: over}
	}
	return nil
}

// CheckNamespace returns an ExceededError if all policies of a namespace, including this one, exceed their limits
// together.
func (l Limits) CheckNamespace(policy types.NamespacedName, total Cost) error {
	if over := total.over(l.Namespace); len(over) > 0 {
		return &ExceededError{Policy: policy, Namespace: true, Excess: over}
	}
	return nil
}

// Policy is a policy of a namespace, and what it asks for.
type Policy struct {
	Name    string
	Created time.Time
	UID     types.UID
	Cost    Cost
}

// Refused returns why policies of a namespace are refused, by name. The others together are within the
// namespace's limits: the oldest count first, because nobody can choose an age, and one that does not fit leaves
// room for younger ones that do. Those above their own limit count for nothing.
func (l Limits) Refused(namespace string, policies []Policy) map[string]error {
	sorted := slices.Clone(policies)
	slices.SortFunc(sorted, func(a, b Policy) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.UID, b.UID), cmp.Compare(a.Name, b.Name))
	})
	refused := map[string]error{}
	var total Cost
	for _, p := range sorted {
		name := types.NamespacedName{Namespace: namespace, Name: p.Name}
		if err := l.Check(name, p.Cost); err != nil {
			refused[p.Name] = err
			continue
		}
		with := total.Add(p.Cost)
		if err := l.CheckNamespace(name, with); err != nil {
			refused[p.Name] = err
			continue
		}
		total = with
	}
	return refused
}

// Near says what of a policy, and of its namespace's policies with it, is above half of what may be. It is
// empty for nearly every policy.
func (l Limits) Near(policy, namespace Cost) []string {
	var out []string
	for _, x := range policy.half(l.Policy) {
		out = append(out, fmt.Sprintf("it has %s that a policy may have", x))
	}
	for _, x := range namespace.half(l.Namespace) {
		out = append(out, fmt.Sprintf("its namespace has %s that the policies of one may have together", x))
	}
	return out
}
