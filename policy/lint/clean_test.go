package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/world"
)

// set is a file of manifests that belong together.
type set struct {
	name, text string
	policies   []*networkingv1.NetworkPolicy
	world      world.World
}

// cleanSets are policies as people write them, of testdata/clean.
func cleanSets(t testing.TB) []set {
	t.Helper()
	files, err := filepath.Glob("testdata/clean/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sets: %v", err)
	}
	var sets []set
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := set{name: strings.TrimSuffix(filepath.Base(file), ".yaml"), text: string(text)}
		s.world = worldOf(parse(t, s.text))
		s.policies = s.world.Policies
		sets = append(sets, s)
	}
	return sets
}

// findings judges every policy of a set among the others.
func (s set) findings() map[string][]check.Finding {
	out := map[string][]check.Finding{}
	for _, policy := range s.policies {
		name := policy.Namespace + "/" + policy.Name
		out[name] = lint.NetworkPolicy(policy, s.world)
	}
	return out
}

// wanted are the checks that comments "# warns: ID" and "# notes: ID" announce.
func (s set) wanted() []string {
	var ids []string
	for line := range strings.Lines(s.text) {
		for comment, severity := range map[string]check.Severity{"# warns: ": check.Warn, "# notes: ": check.Note} {
			if id, ok := strings.CutPrefix(strings.TrimSpace(line), comment); ok {
				ids = append(ids, string(severity)+" "+id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// Policies as people really write them pass: no rejection, and a warning only where it is announced,
// because nobody can be sure that what is written is meant.
func TestNoFalseAlarms(t *testing.T) {
	policies, fired, announced := 0, map[string]int{}, map[string]int{}
	for _, s := range cleanSets(t) {
		t.Run(s.name, func(t *testing.T) {
			var ids []string
			for name, findings := range s.findings() {
				policies++
				for _, finding := range findings {
					ids = append(ids, string(finding.Severity)+" "+string(finding.Check))
					if finding.Severity == check.Reject {
						t.Errorf("%s is refused: %s", name, finding)
					}
					t.Logf("%s: %s", name, finding)
				}
			}
			for _, id := range ids {
				fired[id]++
			}
			for _, id := range s.wanted() {
				announced[id]++
			}
			slices.Sort(ids)
			if want := s.wanted(); !slices.Equal(ids, want) {
				t.Errorf("warns %v, want %v", ids, want)
			}
		})
	}
	var table strings.Builder
	for _, entry := range lint.Catalogue() {
		if entry.About == "AppTier" {
			continue
		}
		warnings, notes := string(check.Warn)+" "+string(entry.ID), string(check.Note)+" "+string(entry.ID)
		fmt.Fprintf(&table, "%-26s warns %2d (announced %2d), notes %2d (announced %2d)\n", entry.ID, fired[warnings], announced[warnings], fired[notes], announced[notes])
	}
	t.Logf("%d policies, no rejection\n%s", policies, table.String())
}

// What AppTiers stand for would pass as well if someone had written it by hand. One of them means to
// do without DNS.
func TestWhatAppTiersStandForIsClean(t *testing.T) {
	files, err := filepath.Glob("../expand/testdata/*.golden.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no policies: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := set{world: worldOf(parse(t, strings.ReplaceAll(string(text), "managed-by: apptier", "managed-by: hand")))}
		s.policies = s.world.Policies
		for name, findings := range s.findings() {
			for _, finding := range findings {
				if filepath.Base(file) != "deny-all.golden.yaml" || finding.Check != netpol.DNSMissing {
					t.Errorf("%s: %s: %s", filepath.Base(file), name, finding)
				}
			}
		}
	}
}
