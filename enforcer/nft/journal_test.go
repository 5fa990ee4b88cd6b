package nft_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/nft"
)

// Whatever was done to a table, and in whatever order: the steps are those of the difference.
func TestAJournalTellsTheDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := tables().Draw(t, "start")
		before, j := start.Clone(), nft.NewJournal(start)
		t.Repeat(map[string]func(*rapid.T){
			"chain":   func(t *rapid.T) { changeChain(t, j) },
			"set":     func(t *rapid.T) { changeSet(t, j) },
			"element": func(t *rapid.T) { changeElement(t, j) },
			"commit": func(*rapid.T) {
				j.Commit()
				before = j.Table().Clone()
			},
			"": func(t *rapid.T) {
				if diff := cmp.Diff(nft.Diff(before, j.Table()), j.Steps()); diff != "" {
					t.Fatalf("(-difference +journal):\n%s", diff)
				}
			},
		})
	})
}

func changeChain(t *rapid.T, j *nft.Journal) {
	name := rapid.SampledFrom([]string{"c1", "c2", "c3"}).Draw(t, "chain")
	if rapid.Bool().Draw(t, "delete") {
		j.DeleteChain(name)
		return
	}
	j.SetChain(name, nft.Chain{
		Rules:   rapid.SliceOfN(rapid.Custom(leafRule), 0, 2).Draw(t, "rules"),
		Comment: rapid.SampledFrom([]string{"", "", "", "chain"}).Draw(t, "chain comment"),
	})
}

func changeSet(t *rapid.T, j *nft.Journal) {
	name := rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "set")
	if _, ok := j.Table().Sets[name]; ok {
		j.DeleteSet(name)
	} else {
		j.AddSet(name, generatedSet(t))
	}
}

func changeElement(t *rapid.T, j *nft.Journal) {
	sets := slices.Sorted(maps.Keys(j.Table().Sets))
	if len(sets) == 0 {
		return
	}
	set := rapid.SampledFrom(sets).Draw(t, "set")
	key := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}).Draw(t, "key")
	if rapid.Bool().Draw(t, "delete") {
		j.DeleteElement(set, key)
		return
	}
	j.SetElement(set, key, nft.Element{Comment: rapid.SampledFrom([]string{"", "one"}).Draw(t, "element comment")})
}
