package expr

import (
	"fmt"
	"strings"
	"time"
)

// Update puts fields into a dynamic set, or begins their time there anew; the kernel calls it dynset. Then the element
// counts the packet, or compares it with its limit. A packet leaves the rule if the set is full, or the limit is exceeded.
//
// A Lookup of an element that counts counts too, and does not begin its time anew (nft_lookup_eval).
type Update struct {
	// Keys are the fields, one after another; the rest is 0.
	Keys [MostKeys]Field
	Set  string
	// Limit bounds the packets of each element; the zero value says that elements count instead.
	Limit Limit
}

// Limit is a rate of packets, so many in whole seconds or minutes, and how many may come at once.
type Limit struct {
	Packets uint32
	Per     time.Duration
	Burst   uint32
}

// Count puts fields into a set, whose elements count.
func Count(set string, fields ...Field) Update { return Update{Keys: keys(fields), Set: set} }

// Within puts fields into a set, and matches as long as no more packets have them than the limit allows.
func Within(l Limit, set string, fields ...Field) Update {
	return Update{Keys: keys(fields), Set: set, Limit: l}
}

// Fields are the keys that are used.
func (u Update) Fields() []Field { return used(u.Keys[:]) }

// Visit is Expr's.
func (u Update) Visit(v Visitor) error { return v.Update(u) }

// String is nft's syntax.
func (u Update) String() string {
	does := "counter"
	if u.Limit != (Limit{}) {
		does = fmt.Sprintf("limit rate %d/%s burst %d packets", u.Limit.Packets, unitOf(u.Limit.Per), u.Limit.Burst)
	}
	return fmt.Sprintf("update @%s { %s %s }", u.Set, concatenation(u.Fields()), does)
}

// unitOf is nft's name of a unit of time.
func unitOf(d time.Duration) string {
	if d == time.Minute {
		return "minute"
	}
	return "second"
}

// concatenation is nft's syntax.
func concatenation(fields []Field) string {
	words := make([]string, len(fields))
	for i, field := range fields {
		words[i] = field.String()
	}
	return strings.Join(words, " . ")
}
