package check

import (
	"cmp"
	"embed"
	"maps"
	"slices"
	"strings"
	"sync"
)

// ID is the stable name of a check.
type ID string

// Check describes a check, and what people can look up about it. To add one, write a file that registers it, and its
// example.
type Check struct {
	ID ID
	// Severity of its findings. Some findings are less severe: widening that is annotated, or not
	// decided; tiers that overlap with another AppTier's; missing objects outside the AppTier.
	Severity Severity
	// About is the kind of object that it judges.
	About Subject
	// Title says what it finds, and Text why that matters and what to do.
	Title, Text string

	// ByItself says that it does not depend on the pods that a NetworkPolicy's selectors match: only a cluster
	// knows labels that controllers set.
	ByItself bool
	// Tiers says that it also judges each tier, as the policy that a person would write for it.
	Tiers bool
	// TierFix is the fix in the words of AppTiers; empty if it is the same.
	TierFix string
	// examples has the file examples/ID.yaml.
	examples embed.FS
}

// Subject is the kind of object that a check judges.
type Subject string

// Subjects.
const (
	OfPolicies Subject = "NetworkPolicy"
	OfAppTiers Subject = "AppTier"
	OfBoth     Subject = "NetworkPolicy, AppTier"
)

// checks are the registered checks, by ID.
var checks = map[ID]Check{}

// Register adds a check, and returns its ID. The file of a check calls it when the program starts. Examples has the
// check's example.
func Register(c Check, examples embed.FS) ID {
	if _, found := checks[c.ID]; found {
		panic("two checks are called " + c.ID)
	}
	c.examples = examples
	checks[c.ID] = c
	return c.ID
}

// severities in the order in which people should read about them.
var severities = []Severity{Reject, Warn, Note}

// All are the registered checks, in the order in which they run and are listed: by severity, then by name.
func All() []Check { return sorted() }

var sorted = sync.OnceValue(func() []Check {
	return slices.SortedFunc(maps.Values(checks), func(a, b Check) int {
		return cmp.Or(cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)), cmp.Compare(a.ID, b.ID))
	})
})

// IsOfObjects says whether the check judges an object in a world, as its example shows. The others belong to the code
// that reads files, or counts the cost of a request.
func (c Check) IsOfObjects() bool { return c.ID != Schema && c.ID != OverBudget && c.ID != TooBig }

// Example shows a check: an object with a finding, the corrected object, and the rest of the world that both are judged
// in, each as YAML.
type Example struct{ Wrong, Right, World string }

// Example returns the example of the check; an empty one if it has none.
func (c Check) Example() Example {
	text, err := c.examples.ReadFile("examples/" + string(c.ID) + ".yaml")
	if err != nil {
		return Example{}
	}
	parts := strings.SplitN(string(text), "---\n", 3)
	for len(parts) < 3 {
		parts = append(parts, "")
	}
	return Example{parts[0], parts[1], parts[2]}
}
