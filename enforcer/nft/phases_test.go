package nft_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft"
)

// A packet meets the old rules until one transaction, and the new ones from then on; and what that
// transaction leads packets to has been there before, and what it led them to is there still.
func TestPhasesMakeBeforeTheyBreak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, wanted := tables().Draw(t, "old"), tables().Draw(t, "wanted")
		fake := knftables.NewFake(family, name)
		apply(t, fake, nft.Replace(old))
		phases := nft.Phases(nft.Diff(old, wanted), rapid.IntRange(1, 20).Draw(t, "most"))
		before := met(read(fake))
		for i, phase := range phases {
			apply(t, fake, phase)
			after := met(read(fake))
			if changes := cmp.Diff(before, after, cmpopts.EquateEmpty(), byText); changes != "" && len(phases) > 1 {
				if diff := cmp.Diff(met(wanted), after, cmpopts.EquateEmpty(), byText); diff != "" {
					t.Fatalf("packets meet something between old and wanted after transaction %d of %d:\n%s", i+1, len(phases), diff)
				}
				for _, op := range phase {
					if _, isChain := op.Object.(*knftables.Chain); isChain && op.Verb != nft.Flush {
						t.Fatalf("the transaction that changes what packets meet has %s chain too", op.Verb)
					}
				}
			}
			before = after
		}
		if diff := cmp.Diff(wanted, read(fake), cmpopts.EquateEmpty(), byText); diff != "" {
			t.Fatalf("after all transactions (-want +got):\n%s", diff)
		}
	})
}

// met is the part of a table that a packet can come to.
func met(t nft.Table) nft.Table {
	out := nft.Table{Chains: map[string]nft.Chain{}, Sets: map[string]nft.Set{}}
	var chain, set func(string)
	words := func(text string) {
		fields := strings.Fields(text)
		for i, word := range fields {
			if name, ok := strings.CutPrefix(word, "@"); ok {
				set(name)
			}
			if (word == "jump" || word == "goto") && i+1 < len(fields) {
				chain(fields[i+1])
			}
		}
	}
	chain = func(name string) {
		if _, seen := out.Chains[name]; seen {
			return
		}
		out.Chains[name] = t.Chains[name]
		for _, rule := range t.Chains[name].Rules {
			words(rule.Exprs.String())
		}
	}
	set = func(name string) {
		if _, seen := out.Sets[name]; seen {
			return
		}
		out.Sets[name] = t.Sets[name]
		for element := range maps.Values(t.Sets[name].Elements) {
			words(element.Value)
		}
	}
	chain("base")
	return out
}
