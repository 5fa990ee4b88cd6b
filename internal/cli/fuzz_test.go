package cli

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
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
		d := manifest.NewDecoder("default", slices.Concat(scene.SnapshotKinds(), scene.ReferenceKinds())...)
		if err := d.Decode(manifest.Split("fuzz", text)); err != nil {
			for _, problem := range d.Problems {
				if place := problem.Error(); !strings.HasPrefix(place, "fuzz") || !strings.Contains(place, "(document ") {
					t.Errorf("a problem without a place: %s", place)
				}
			}
			return
		}
		for _, o := range d.Objects {
			if o.Name == "" || o.Origin.Document.Number < 1 || o.Origin.AtField("spec.tiers[0].name") == "" {
				t.Errorf("an object without a place: %+v", o)
			}
		}
		settings, err := (&scene.ClusterOptions{}).Settings()
		if err != nil {
			t.Fatal(err)
		}
		scene := &scene.Scene{Input: d.Objects}
		findings, err := scene.Judge(t.Context(), d.Objects, settings)
		if err != nil {
			return // two Services of a name that an AppTier refers to
		}
		report.WriteFindings(io.Discard, findings)
	})
}
