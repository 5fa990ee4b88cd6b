// Package nft has rulesets as plain data, with their text, their differences, and the transactions that
// apply the differences. It is the only package that talks to nftables.
package nft

import (
	"maps"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// The words of nftables that rulesets need.
const (
	Inet           = knftables.InetFamily
	Bridge         = knftables.BridgeFamily
	PreroutingHook = knftables.PreroutingHook
	ForwardHook    = knftables.ForwardHook
	InputHook      = knftables.InputHook
	RawPriority    = knftables.RawPriority
	FilterPriority = knftables.FilterPriority
	ManglePriority = knftables.ManglePriority
	AcceptPolicy   = knftables.AcceptPolicy
	// MaxComment is the length of the longest comment in bytes, its final zero included.
	MaxComment = knftables.CommentLengthMax
)

// Family is Inet or Bridge.
type Family = knftables.Family

// Hook is where a base chain is attached.
type Hook = knftables.BaseChainHook

// Priority is the order of base chains at a hook.
type Priority = knftables.BaseChainPriority

// Table is one nftables table. Everything in it is keyed by name, so two tables that mean the
// same compare equal, in whichever order they were built.
type Table struct {
	Family  knftables.Family
	Name    string
	Comment string
	Chains  map[string]Chain
	// Sets holds both sets and maps: nftables keeps them in one name space.
	Sets map[string]Set
	// Counters are those with a name, which outlive the rules that count with them.
	Counters map[string]Counter
}

// Counter is a named counter. What it has counted is not part of a table.
type Counter struct{ Comment string }

// Chain is a base chain (Base is set) or a regular one.
type Chain struct {
	Base    *Base
	Comment string
	Rules   []Rule
}

// Base attaches a chain to a netfilter hook.
type Base struct {
	Hook     knftables.BaseChainHook
	Priority knftables.BaseChainPriority
	Policy   knftables.BaseChainPolicy
}

// Rule is one rule.
type Rule struct {
	Exprs   expr.List
	Comment string
}

// RuleOf returns a rule without a comment.
func RuleOf(exprs ...expr.Expr) Rule { return Rule{Exprs: exprs} }

// Remarked returns a rule with a comment.
func Remarked(comment string, exprs ...expr.Expr) Rule { return Rule{exprs, comment} }

// Equal says whether two rules do the same and have the same comment.
func (r Rule) Equal(o Rule) bool { return r.Comment == o.Comment && r.Exprs.Equal(o.Exprs) }

// Set is a set, or a map when Value is not empty.
type Set struct {
	// Key is the nft type of the keys, e.g. "ipv4_addr . inet_service".
	Key string
	// Value is the nft type of a map's values, e.g. "verdict". Empty for a set.
	Value string
	// Dynamic says that rules put elements in. Those are not part of a table: it has none.
	Dynamic Dynamic
	// Interval says that keys are ranges. They must not overlap: the kernel refuses a whole
	// transaction for one overlapping element.
	Interval bool
	Comment  string
	// Elements is keyed by the element's key, its parts joined by " . ", so a key cannot repeat.
	Elements map[string]Element
}

// Dynamic is what bounds a set that rules put elements in; the zero value is for other sets.
type Dynamic struct {
	// Size is how many elements there may be, and Timeout how long one stays; in seconds, as nft writes it.
	Size    uint32
	Timeout time.Duration
}

// Element is what belongs to a key.
type Element struct {
	// Value is a map's value, e.g. "goto some-chain". Empty in a set.
	Value   string
	Comment string
}

// Key joins the parts of a concatenated key.
func Key(parts ...string) string { return strings.Join(parts, keySeparator) }

const keySeparator = " . "

// Clone returns a copy that shares no map or slice with t.
func (t Table) Clone() Table {
	out := t
	out.Chains = make(map[string]Chain, len(t.Chains))
	for name, chain := range t.Chains {
		chain.Rules = slices.Clone(chain.Rules)
		out.Chains[name] = chain
	}
	out.Sets = make(map[string]Set, len(t.Sets))
	for name, set := range t.Sets {
		set.Elements = maps.Clone(set.Elements)
		out.Sets[name] = set
	}
	out.Counters = maps.Clone(t.Counters)
	return out
}

// Elements counts the elements of all sets and maps.
func (t Table) Elements() int {
	n := 0
	for _, set := range t.Sets {
		n += len(set.Elements)
	}
	return n
}

// sameDefinition reports whether two sets differ in nothing but their elements.
func (s Set) sameDefinition(o Set) bool {
	return s.Key == o.Key && s.Value == o.Value && s.Interval == o.Interval && s.Dynamic == o.Dynamic && s.Comment == o.Comment
}

// sameDefinition reports whether two chains differ in nothing but their rules.
func (c Chain) sameDefinition(o Chain) bool {
	if (c.Base == nil) != (o.Base == nil) || c.Comment != o.Comment {
		return false
	}
	return c.Base == nil || *c.Base == *o.Base
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
