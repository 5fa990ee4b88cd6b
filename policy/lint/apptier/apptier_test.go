package apptier_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// Each testdata/NAME.yaml is an AppTier that must be refused; its comments "# want: TEXT" say what
// the answer must contain.
func TestRefusals(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no AppTiers in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			answer := judge(text)
			if answer == "" {
				t.Fatal("accepted")
			}
			for line := range strings.Lines(string(text)) {
				want, ok := strings.CutPrefix(strings.TrimSpace(line), "# want: ")
				if ok && !strings.Contains(answer, want) {
					t.Errorf("answer does not say %q:\n%s", want, answer)
				}
			}
		})
	}
}

// judge returns why an AppTier is refused, or "".
func judge(text []byte) string {
	var app v1alpha1.AppTier
	if err := yaml.UnmarshalStrict(text, &app); err != nil {
		return err.Error()
	}
	var lines []string
	for _, finding := range check.WithSeverity(apptier.ByItself(&app), check.Reject) {
		lines = append(lines, finding.String())
	}
	return strings.Join(lines, "\n")
}

// A direction that is not isolated makes its rules say nothing, which is worth a warning.
func TestDeadRulesAreWarnedAbout(t *testing.T) {
	app := &v1alpha1.AppTier{}
	text := `
metadata: {name: shop}
spec:
  tiers:
  - name: api
    podSelector: {matchLabels: {tier: api}}
    isolate: [Ingress]
    egress: [{to: [{internet: {}}], ports: [{port: 443}]}]
`
	if err := yaml.UnmarshalStrict([]byte(text), app); err != nil {
		t.Fatal(err)
	}
	findings := apptier.ByItself(app)
	if len(findings) != 1 || findings[0].Check != netpol.DeadRules || findings[0].Severity != check.Warn {
		t.Errorf("findings: %v, want one warning %s", findings, netpol.DeadRules)
	}
}
