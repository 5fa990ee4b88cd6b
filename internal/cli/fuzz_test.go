package cli

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzRead feeds texts to everything between a file and what is found in it. None may crash it; what it
// accepts has a place that can be named, and so has what it refuses.
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
			for _, problem := range d.problems {
				if place := problem.Error(); !strings.HasPrefix(place, "fuzz") || !strings.Contains(place, "(document ") {
					t.Errorf("a problem without a place: %s", place)
				}
			}
			return
		}
		for _, o := range d.objects {
			if o.name == "" || o.origin.document.number < 1 || o.origin.atField("spec.tiers[0].name") == "" {
				t.Errorf("an object without a place: %+v", o)
			}
		}
		settings, err := (&clusterOptions{}).settings()
		if err != nil {
			t.Fatal(err)
		}
		scene := &scene{input: d.objects}
		findings, err := scene.judge(t.Context(), d.objects, settings)
		if err != nil {
			return // two Services of a name that an AppTier refers to
		}
		writeFindings(io.Discard, findings)
	})
}
