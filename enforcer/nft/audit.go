package nft

import (
	"fmt"

	"sigs.k8s.io/knftables"
)

// Auditor compares what the kernel holds with what was written there. Rules are listed in a form of
// their own, which differs between versions of the kernel; the auditor remembers the form of each rule
// from when it saw it first. So a rule that somebody replaced before goes unnoticed; one that was
// added, removed, or replaced later does not.
type Auditor struct {
	forms map[string]string // by the rules' own text
}

// Forget makes the auditor learn the forms of rules anew: after a repair.
func (a *Auditor) Forget() { a.forms = nil }

// Compare names a difference, or returns "".
func (a *Auditor) Compare(wanted Table, got Contents) string {
	if got.Flagged {
		return "the table has a flag, dormant perhaps"
	}
	for _, difference := range []string{
		names("chain", wanted.Chains, got.Chains), names("set", wanted.Sets, got.Sets), names("counter", wanted.Counters, got.Counters),
	} {
		if difference != "" {
			return difference
		}
	}
	if got.Elements {
		for _, name := range sorted(wanted.Sets) {
			if difference := elements(wanted.Sets[name].Elements, got.Sets[name]); difference != "" {
				return fmt.Sprintf("set %s: %s", name, difference)
			}
		}
	}
	return a.rules(wanted, got)
}

func names[V, W any](kind string, wanted map[string]V, got map[string]W) string {
	for _, name := range sorted(wanted) {
		if _, ok := got[name]; !ok {
			return fmt.Sprintf("%s %s is missing", kind, name)
		}
	}
	for _, name := range sorted(got) {
		if _, ok := wanted[name]; !ok {
			return fmt.Sprintf("%s %s was added", kind, name)
		}
	}
	return ""
}

func elements(wanted, got map[string]Element) string {
	for key, element := range wanted {
		switch there, ok := got[key]; {
		case !ok:
			return fmt.Sprintf("element %s is missing", key)
		case there.Value != element.Value:
			return fmt.Sprintf("element %s says %q", key, there.Value)
		}
	}
	if len(got) != len(wanted) {
		return fmt.Sprintf("%d elements were added", len(got)-len(wanted))
	}
	return ""
}

// rules compares chains. What it learns of one table it forgets when that is no longer wanted.
func (a *Auditor) rules(wanted Table, got Contents) string {
	forms := map[string]string{}
	for _, name := range sorted(wanted.Chains) {
		chain, there := wanted.Chains[name], got.Chains[name]
		if want := chain.Base.In(wanted.Family); want != there.Base {
			return fmt.Sprintf("chain %s hooks into %q", name, there.Base)
		}
		if len(chain.Rules) != len(there.Rules) {
			return fmt.Sprintf("chain %s has %d rules", name, len(there.Rules))
		}
		for i, rule := range chain.Rules {
			text := fmt.Sprintf("%s %q", rule.Exprs, rule.Comment)
			form, known := a.forms[text]
			if seen, again := forms[text]; again {
				form, known = seen, true
			}
			if known && form != there.Rules[i] {
				return fmt.Sprintf("chain %s: rule %d was changed", name, i)
			}
			forms[text] = there.Rules[i]
		}
	}
	a.forms = forms
	return ""
}

// priorities are the numbers of the names that base chains use: nft(8).
var priorities = map[knftables.Family]map[knftables.BaseChainPriority]int{
	Inet:   {FilterPriority: 0, ManglePriority: -150, RawPriority: -300},
	Bridge: {FilterPriority: -200},
}

// In names the hook as a kernel's listing of a table of that family does; it is empty for a regular chain.
func (b *Base) In(family knftables.Family) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("filter %s %d %s", b.Hook, priorities[family][b.Priority], b.Policy)
}
