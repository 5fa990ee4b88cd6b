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

// Check is what is looked for, and what people can look up about it. To add one, write a file that registers it,
// and its example.
type Check struct {
	ID ID
	// Severity of its findings. Some are less all the same: widening that is annotated, or not
	// decided; tiers that overlap with another AppTier's; what an AppTier refers to outside of it.
	Severity Severity
	// About says what it is about.
	About Subject
	// Title says what it finds, and Text why that matters and what to do.
	Title, Text string

	// ByItself says that it asks no selector of a NetworkPolicy which pods it matches, which only a cluster
	// knows of labels that controllers set.
	ByItself bool
	// Tiers says that it is asked of each tier too, as the policy that a person would write for it.
	Tiers bool
	// TierFix is the fix in the words of AppTiers; empty where it is the same.
	TierFix string
	// examples has the file examples/ID.yaml.
	examples embed.FS
}

// Subject is what a check is about.
type Subject string

// Subjects.
const (
	OfPolicies Subject = "NetworkPolicy"
	OfAppTiers Subject = "AppTier"
	OfBoth     Subject = "NetworkPolicy, AppTier"
)

// checks are those registered, by ID.
var checks = map[ID]Check{}

// Register makes a check one of those that are made and listed, and returns its name. The file of a check does it when
// the program starts. Examples hold its own.
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

// All are the checks that the program's packages register, in the order in which they are made and listed: the
// gravest first, then by name.
func All() []Check { return sorted() }

var sorted = sync.OnceValue(func() []Check {
	return slices.SortedFunc(maps.Values(checks), func(a, b Check) int {
		return cmp.Or(cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)), cmp.Compare(a.ID, b.ID))
	})
})

// IsOfObjects says whether the check is about what an object says, beside the others of a world, as its example
// shows. Others are made by who reads files, or counts what a request costs.
func (c Check) IsOfObjects() bool { return c.ID != Schema && c.ID != OverBudget && c.ID != TooBig }

// Example shows a check: an object that it finds fault with, the same put right, and the rest of
// the world that both are judged in, each as YAML.
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
