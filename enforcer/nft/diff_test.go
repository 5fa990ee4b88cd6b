package nft_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

const (
	family = knftables.InetFamily
	name   = "test"
)

// tables generates tables whose names, types and references collide, but are sound: what a rule or
// an element points to exists.
func tables() *rapid.Generator[nft.Table] {
	return rapid.Custom(func(t *rapid.T) nft.Table {
		table := nft.Table{
			Family: family, Name: name, Chains: map[string]nft.Chain{}, Sets: map[string]nft.Set{},
			Comment:  rapid.SampledFrom([]string{"one", "one", "one", "another"}).Draw(t, "comment"),
			Counters: map[string]nft.Counter{},
		}
		for _, counter := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"n1", "n2"}), rapid.ID[string]).Draw(t, "counters") {
			table.Counters[counter] = nft.Counter{Comment: rapid.SampledFrom([]string{"", "", "", "why"}).Draw(t, "counter comment")}
		}
		targets := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"c1", "c2", "c3"}), rapid.ID[string]).Draw(t, "chains")
		for _, chain := range targets {
			table.Chains[chain] = nft.Chain{Rules: rapid.SliceOfN(rapid.Custom(leafRule), 0, 3).Draw(t, "rules")}
		}
		for _, set := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"s1", "s2"}), rapid.ID[string]).Draw(t, "sets") {
			table.Sets[set] = generatedSet(t)
		}
		if rapid.Bool().Draw(t, "has map") {
			table.Sets["m1"] = generatedMap(t, targets)
		}
		table.Chains["base"] = nft.Chain{
			Base:  &nft.Base{Hook: knftables.ForwardHook, Priority: "0", Policy: knftables.AcceptPolicy},
			Rules: baseRules(t, table, targets),
		}
		return table
	})
}

func leafRule(t *rapid.T) nft.Rule {
	return nft.Rule{
		Exprs:   rapid.SampledFrom([]expr.List{{expr.Accept}, {expr.Drop}, {expr.Invalid, expr.Drop}}).Draw(t, "rule"),
		Comment: rapid.SampledFrom([]string{"", "why"}).Draw(t, "rule comment"),
	}
}

func generatedSet(t *rapid.T) nft.Set {
	set := nft.Set{Key: "ipv4_addr", Elements: map[string]nft.Element{}}
	set.Comment = rapid.SampledFrom([]string{"", "", "", "set"}).Draw(t, "set comment")
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 9), 0, 5, rapid.ID[int]).Draw(t, "elements") {
		set.Elements[fmt.Sprintf("10.0.0.%d", n)] = nft.Element{}
	}
	return set
}

func generatedMap(t *rapid.T, targets []string) nft.Set {
	set := nft.Set{Key: "ipv4_addr . inet_service", Value: "verdict", Elements: map[string]nft.Element{}}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 9), 0, 5, rapid.ID[int]).Draw(t, "map elements") {
		element := nft.Element{Value: "drop", Comment: rapid.SampledFrom([]string{"", "pod"}).Draw(t, "element comment")}
		if len(targets) > 0 && rapid.Bool().Draw(t, "jumps") {
			element.Value = "goto " + rapid.SampledFrom(targets).Draw(t, "target")
		}
		set.Elements[nft.Key(fmt.Sprintf("10.0.0.%d", n), "80")] = element
	}
	return set
}

func baseRules(t *rapid.T, table nft.Table, targets []string) []nft.Rule {
	rules := []nft.Rule{nft.RuleOf(expr.Accept)}
	for _, set := range slices.Sorted(maps.Keys(table.Sets)) {
		if rapid.Bool().Draw(t, "uses "+set) {
			if table.Sets[set].Value == "" {
				rules = append(rules, nft.Remarked("uses a set", expr.In(set, expr.Source4), expr.Drop))
			} else {
				rules = append(rules, nft.RuleOf(expr.Of(expr.TCP), expr.By(set, expr.ReplySource4, expr.ReplyPort)))
			}
		}
	}
	for _, chain := range targets {
		if rapid.Bool().Draw(t, "jumps to "+chain) {
			rules = append(rules, nft.RuleOf(expr.Jump(chain)))
		}
	}
	return rules
}

func TestNothingDiffersFromItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := tables().Draw(t, "table")
		if ops := nft.Diff(table, table.Clone()); len(ops) != 0 {
			t.Fatalf("%d steps from a table to itself", len(ops))
		}
	})
}

func TestADifferenceAppliedGivesTheWantedTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, wanted := tables().Draw(t, "old"), tables().Draw(t, "wanted")
		fake := knftables.NewFake(family, name)
		apply(t, fake, nft.Replace(old))
		if diff := cmp.Diff(old, read(fake), cmpopts.EquateEmpty(), byText); diff != "" {
			t.Fatalf("after Replace (-want +got):\n%s", diff)
		}
		apply(t, fake, nft.Diff(old, wanted))
		if diff := cmp.Diff(wanted, read(fake), cmpopts.EquateEmpty(), byText); diff != "" {
			t.Fatalf("after Diff (-want +got):\n%s", diff)
		}
	})
}

// A few changes must stay cheap, or a busy cluster keeps every node busy.
func TestAPodThatComesTouchesOneElement(t *testing.T) {
	old := nft.Table{Family: family, Name: name, Sets: map[string]nft.Set{
		"pods": {Key: "ipv4_addr", Elements: map[string]nft.Element{"10.0.0.1": {}}},
	}}
	wanted := old.Clone()
	wanted.Sets["pods"].Elements["10.0.0.2"] = nft.Element{}
	fake := knftables.NewFake(family, name)
	apply(t, fake, nft.Replace(old))
	apply(t, fake, nft.Diff(old, wanted))
	want := "add element inet test pods { 10.0.0.2 }\n"
	if got := fake.LastTransaction.String(); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestRemovingATableThatIsNotThereSucceeds(t *testing.T) {
	fake := knftables.NewFake(family, name)
	if err := nft.RemoveTable(context.Background(), fake); err != nil {
		t.Fatal(err)
	}
	if fake.Table != nil {
		t.Error("the table is there")
	}
}

type failer interface {
	Helper()
	Fatal(args ...any)
}

func apply(t failer, fake *knftables.Fake, ops []nft.Op) {
	t.Helper()
	if err := nft.Apply(context.Background(), fake, ops); err != nil {
		t.Fatal(err)
	}
}

// words are a rule that is read back, as one expression.
type words string

func (w words) String() string { return string(w) }

func (words) Visit(expr.Visitor) error { return errors.New("a rule that was read back") }

// byText compares rules by their text, in which they are read back.
var byText = cmp.Comparer(func(a, b nft.Rule) bool { return a.Exprs.String() == b.Exprs.String() && a.Comment == b.Comment })

// read is what the fake kernel holds, as a table.
func read(fake *knftables.Fake) nft.Table {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	out := nft.Table{
		Family: family, Name: name, Comment: text(fake.Table.Comment),
		Chains: map[string]nft.Chain{}, Sets: map[string]nft.Set{}, Counters: map[string]nft.Counter{},
	}
	for key, c := range fake.Table.Counters {
		out.Counters[key] = nft.Counter{Comment: text(c.Comment)}
	}
	for key, c := range fake.Table.Chains {
		chain := nft.Chain{Comment: text(c.Comment)}
		if c.Hook != nil {
			chain.Base = &nft.Base{Hook: *c.Hook, Priority: *c.Priority, Policy: *c.Policy}
		}
		for _, r := range c.Rules {
			chain.Rules = append(chain.Rules, nft.Remarked(text(r.Comment), words(r.Rule)))
		}
		out.Chains[key] = chain
	}
	elements := func(all []*knftables.Element) map[string]nft.Element {
		m := map[string]nft.Element{}
		for _, e := range all {
			m[nft.Key(e.Key...)] = nft.Element{Value: strings.Join(e.Value, ""), Comment: text(e.Comment)}
		}
		return m
	}
	for key, s := range fake.Table.Sets {
		out.Sets[key] = nft.Set{Key: s.Type, Comment: text(s.Comment), Elements: elements(s.Elements)}
	}
	for key, m := range fake.Table.Maps {
		keyType, value, _ := strings.Cut(m.Type, " : ")
		out.Sets[key] = nft.Set{Key: keyType, Value: value, Comment: text(m.Comment), Elements: elements(m.Elements)}
	}
	return out
}
