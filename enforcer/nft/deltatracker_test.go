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
func TestADeltaTrackerTellsTheDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := tables().Draw(t, "start")
		before, d := start.Clone(), nft.NewDeltaTracker(start)
		t.Repeat(map[string]func(*rapid.T){
			"chain":   func(t *rapid.T) { changeChain(t, d) },
			"set":     func(t *rapid.T) { changeSet(t, d) },
			"element": func(t *rapid.T) { changeElement(t, d) },
			"commit": func(*rapid.T) {
				d.Commit()
				before = d.Table().Clone()
			},
			"": func(t *rapid.T) {
				if diff := cmp.Diff(nft.Diff(before, d.Table()), d.Steps()); diff != "" {
					t.Fatalf("(-difference +tracker):\n%s", diff)
				}
			},
		})
	})
}

func changeChain(t *rapid.T, d *nft.DeltaTracker) {
	name := rapid.SampledFrom([]string{"c1", "c2", "c3"}).Draw(t, "chain")
	if rapid.Bool().Draw(t, "delete") {
		d.DeleteChain(name)
		return
	}
	d.SetChain(name, nft.Chain{
		Rules:   rapid.SliceOfN(rapid.Custom(leafRule), 0, 2).Draw(t, "rules"),
		Comment: rapid.SampledFrom([]string{"", "", "", "chain"}).Draw(t, "chain comment"),
	})
}

func changeSet(t *rapid.T, d *nft.DeltaTracker) {
	name := rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "set")
	if _, ok := d.Table().Sets[name]; ok {
		d.DeleteSet(name)
	} else {
		d.AddSet(name, generatedSet(t))
	}
}

func changeElement(t *rapid.T, d *nft.DeltaTracker) {
	sets := slices.Sorted(maps.Keys(d.Table().Sets))
	if len(sets) == 0 {
		return
	}
	set := rapid.SampledFrom(sets).Draw(t, "set")
	key := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}).Draw(t, "key")
	if rapid.Bool().Draw(t, "delete") {
		d.DeleteElement(set, key)
		return
	}
	d.SetElement(set, key, nft.Element{Comment: rapid.SampledFrom([]string{"", "one"}).Draw(t, "element comment")})
}
