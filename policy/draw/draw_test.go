package draw_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/v3/golden"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/draw"
)

// Each testdata/NAME.yaml holds AppTiers, and NAME.mmd their picture.
func TestPictures(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no AppTiers in testdata: %v", err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(input, ".yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			golden.Assert(t, draw.Mermaid(read(t, input)...), filepath.Base(name)+".mmd")
		})
	}
}

func TestOrderOfAppTiersDoesNotMatter(t *testing.T) {
	apps := read(t, "testdata/agreed.yaml")
	want := draw.Mermaid(apps...)
	slices.Reverse(apps)
	if diff := cmp.Diff(want, draw.Mermaid(apps...)); diff != "" {
		t.Errorf("the picture depends on the order (-want +got):\n%s", diff)
	}
}

// A text from an AppTier stays a text, whatever it holds.
func TestTextsAreHarmless(t *testing.T) {
	apps := read(t, "testdata/tiers.yaml")
	apps[0].Spec.Tiers[0].Name = "\"]\nx --> y <script> `#quot;`"
	picture := draw.Mermaid(apps...)
	if want := `["#quot;] x --#gt; y #lt;script#gt; #96;#35;quot;#96;"]`; !strings.Contains(picture, want) {
		t.Errorf("no %s in\n%s", want, picture)
	}
}

func read(t *testing.T, path string) []*v1alpha1.AppTier {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var apps []*v1alpha1.AppTier
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		app := &v1alpha1.AppTier{}
		if err := yaml.UnmarshalStrict(document, app); err != nil {
			t.Fatal(err)
		}
		apps = append(apps, app)
	}
	return apps
}
