package expand_test

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/golden"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
)

// Each testdata/NAME.yaml is an AppTier, and NAME.golden.yaml what it stands for.
func TestRenderings(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	inputs = slices.DeleteFunc(inputs, func(name string) bool { return strings.HasSuffix(name, ".golden.yaml") })
	if len(inputs) == 0 {
		t.Fatal("no AppTiers in testdata")
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".yaml"), func(t *testing.T) {
			app := readAppTier(t, input)
			if findings := lint.AppTier(app); len(findings) > 0 {
				t.Fatalf("lint: %v", findings)
			}
			golden.AssertBytes(t, render(t, app), strings.TrimSuffix(filepath.Base(input), ".yaml")+".golden.yaml")
		})
	}
}

func readAppTier(t *testing.T, path string) *v1alpha1.AppTier {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var app v1alpha1.AppTier
	if err := yaml.UnmarshalStrict(text, &app); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return &app
}

// render is the YAML of all policies, in the environment of the embedded cluster.
func render(t *testing.T, app *v1alpha1.AppTier) []byte {
	t.Helper()
	env := expand.DefaultEnvironment()
	env.DNS.Addresses = []netip.Addr{netip.MustParseAddr("10.96.0.10")}
	var out bytes.Buffer
	for _, policy := range expand.NetworkPolicies(app, env) {
		text, err := yaml.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return out.Bytes()
}
