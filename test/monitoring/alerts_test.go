package monitoring

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// promtool runs Prometheus' own tool.
func promtool(t *testing.T, arguments ...string) {
	t.Helper()
	if testing.Short() {
		if _, err := exec.LookPath("promtool"); err != nil {
			t.Skip("-short, and promtool is not installed")
		}
	}
	command := exec.CommandContext(t.Context(), "promtool", arguments...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", arguments, err, out)
	}
}

// files writes the rules of all components as Prometheus reads them, and returns where.
func files(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, component := range []string{"alerts", "enforcer-alerts"} {
		file := filepath.Join(t.TempDir(), component+".yaml")
		write(t, file, rulesOf(t, component))
		all = append(all, file)
	}
	return all
}

func write(t *testing.T, file string, value any) {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRulesAreRead(t *testing.T) {
	promtool(t, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, files(t)...)...)
}

// Each alert is raised when it should be, and not otherwise. All in one run, since promtool takes long to start.
func TestAlerts(t *testing.T) {
	var tests []map[string]any
	for _, try := range tries {
		tests = append(tests, try.promtool())
	}
	file := filepath.Join(t.TempDir(), "test.yaml")
	write(t, file, map[string]any{"rule_files": files(t), "evaluation_interval": "1m", "tests": tests})
	promtool(t, "test", "rules", file)
}

// try is a history of metrics, and what an alert makes of it.
type try struct {
	alert, when string
	// series are by their names and labels, as promtool writes them: 0+1x30 begins at 0 and adds 1 for 30 minutes.
	series map[string]string
	// at is the time at which it is asked.
	at string
	// fires are the labels that tell each alert from others, besides its severity: {node="n1"}; none if none is raised.
	fires []string
}

// promtool is the test as promtool reads it.
func (try try) promtool() map[string]any {
	var series []map[string]string
	for name, values := range try.series {
		series = append(series, map[string]string{"series": name, "values": values})
	}
	slices.SortFunc(series, func(a, b map[string]string) int { return strings.Compare(a["series"], b["series"]) })
	expected := []map[string]any{}
	for _, labels := range try.fires {
		expected = append(expected, map[string]any{"labels": labels, "value": 1})
	}
	return map[string]any{
		"name": try.alert + ": " + try.when, "interval": "1m", "input_series": series,
		"promql_expr_test": []any{map[string]any{
			"expr":      `sum without (alertname, alertstate, severity) (ALERTS{alertname="` + try.alert + `", alertstate="firing"})`,
			"eval_time": try.at, "exp_samples": expected,
		}},
	}
}

var usedLabel = regexp.MustCompile(`\$labels\.(\w+)`)

// No alert is left out by the tests above, and each has the labels that its texts name.
func TestEachAlertIsTried(t *testing.T) {
	raised, quiet := map[string][]string{}, map[string]bool{}
	for _, try := range tries {
		if len(try.fires) > 0 {
			raised[try.alert] = append(raised[try.alert], try.fires...)
		} else {
			quiet[try.alert] = true
		}
	}
	for name, r := range alerts(t) {
		if len(raised[name]) == 0 || !quiet[name] {
			t.Errorf("%s needs a test in which it is raised, and one in which it is not", name)
		}
		for _, text := range r.Annotations {
			for _, used := range usedLabel.FindAllStringSubmatch(text, -1) {
				for _, labels := range raised[name] {
					if !regexp.MustCompile(`\b` + used[1] + `=`).MatchString(labels) {
						t.Errorf("%s names the label %s, and has %s", name, used[1], labels)
					}
				}
			}
		}
	}
}
