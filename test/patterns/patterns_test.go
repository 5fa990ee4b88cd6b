package patterns_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"gotest.tools/v3/golden"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/patterns"
)

const repository = "../.."

func all(t *testing.T) []patterns.Pattern {
	t.Helper()
	found, err := patterns.Load(repository)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Every number from 1 to 17 has at least one sample.
func TestEveryPatternIsThere(t *testing.T) {
	numbers := map[string]bool{}
	for _, p := range all(t) {
		numbers[regexp.MustCompile(`^\d\d-`).FindString(p.Name)] = true
	}
	if len(numbers) != 17 || numbers[""] {
		t.Errorf("the samples have the numbers %v", numbers)
	}
}

func TestSamplesPassLint(t *testing.T) {
	for _, p := range all(t) {
		for _, app := range p.AppTiers {
			for _, finding := range lint.AppTier(app) {
				t.Errorf("%s: %v", p.Name, finding)
			}
		}
	}
}

// testdata/golden/NAME.yaml is what the sample of a pattern stands for.
func TestRenderings(t *testing.T) {
	for _, p := range all(t) {
		t.Run(p.Name, func(t *testing.T) {
			golden.AssertBytes(t, render(t, p.AppTiers), filepath.Join("golden", p.Name+".yaml"))
		})
	}
}

func render(t *testing.T, apps []*v1alpha1.AppTier) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, policy := range patterns.Policies(apps, patterns.Environment()) {
		text, err := yaml.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return out.Bytes()
}

// Each table holds, as policy/reach judges it, in both address families.
func TestTables(t *testing.T) {
	for _, p := range all(t) {
		t.Run(p.Name, func(t *testing.T) {
			judge(t, p.Table, nil, reach.Allow, slices.Concat(p.Table.Allow, p.Table.Deny)) // policies alone deny
			judge(t, p.Table, p.AppTiers, reach.Allow, p.Table.Allow)
			judge(t, p.Table, p.AppTiers, reach.Deny, p.Table.Deny)
			for _, stage := range p.Table.Before {
				apps, err := p.Named(stage.Apply)
				if err != nil {
					t.Fatal(err)
				}
				judge(t, p.Table, apps, reach.Deny, stage.Deny)
			}
		})
	}
}

// judge expects one verdict of all rows.
func judge(t *testing.T, table patterns.Table, apps []*v1alpha1.AppTier, want reach.Verdict, rows []patterns.Row) {
	t.Helper()
	snapshot := table.Snapshot(patterns.Policies(apps, patterns.Environment()))
	evaluator := reach.New(snapshot)
	checks, err := table.Checks(rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range checks {
		if got, reason := patterns.Allowed(evaluator, snapshot, check); got != want {
			t.Errorf("with %d AppTiers, %s: %s, want %s\n%s", len(apps), check, got, want, reason)
		}
	}
}
