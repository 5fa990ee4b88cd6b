package cli

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// FuzzRead feeds texts to everything between a file and its objects. None may crash it, and what it
// accepts has a place that can be named.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/input/*.*")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := newDecoder("default", slices.Concat(snapshotKinds(), referenceKinds())...)
		if err := d.decode(split("fuzz", text)); err != nil {
			return
		}
		for _, o := range d.objects {
			if o.name == "" || o.origin.document.number < 1 || o.origin.atField("spec.tiers[0].name") == "" {
				t.Errorf("an object without a place: %+v", o)
			}
		}
		for _, found := range check(appTiers(d.objects)) {
			found.source.origin.atField(found.Path)
		}
	})
}
