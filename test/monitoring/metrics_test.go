package monitoring

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/prometheus/promql/parser"
	_ "sigs.k8s.io/controller-runtime/pkg/controller" // registers what reconcilers count
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	_ "sigs.k8s.io/controller-runtime/pkg/webhook" // registers what webhooks count

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/nri"
	"github.com/apptier/apptier/enforcer/wiring"
)

// foreign are metrics that others make: Prometheus about its targets, and the API server about webhooks
// (k8s.io/apiserver/pkg/admission/metrics).
var foreign = []string{"up", "apiserver_admission_webhook_fail_open_count", "apiserver_admission_webhook_rejection_count"}

// Whatever alerts and the dashboard ask for is made by the programs, with the labels that are asked for.
func TestMetricsExist(t *testing.T) {
	known := made(t)
	for _, name := range foreign {
		known[name] = true
	}
	asked := 0
	for where, expr := range expressions(t) {
		parsed, err := parser.ParseExpr(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				asked++
				if !known[selector.Name] {
					t.Errorf("%s asks for %s, which no program has", where, selector.Name)
				}
			}
			return nil
		})
	}
	if asked < 40 {
		t.Errorf("only %d metrics are asked for", asked)
	}
}

var nameOf = regexp.MustCompile(`fqName: "([^"]+)"`)

// made are the metrics of the manager and the enforcer; of a histogram, its parts.
func made(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	of := []describer{
		agent.NewMetrics(), &agent.Verdicts{}, &health.Report{}, &wiring.Node{}, // the enforcer's
		metrics.Registry.(describer), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), // the manager's
	}
	for _, collector := range nri.NewMetrics().Collectors() {
		of = append(of, collector)
	}
	for _, collector := range of {
		for _, desc := range described(collector) {
			name := nameOf.FindStringSubmatch(desc.String())
			if name == nil {
				t.Fatalf("no name in %v", desc)
			}
			known[name[1]] = true
			known[name[1]+"_bucket"] = strings.HasSuffix(name[1], "_seconds")
		}
	}
	return known
}

// describer tells which metrics it has.
type describer interface {
	Describe(chan<- *prometheus.Desc)
}

func described(collector describer) []*prometheus.Desc {
	to := make(chan *prometheus.Desc)
	go func() {
		defer close(to)
		collector.Describe(to)
	}()
	var all []*prometheus.Desc
	for desc := range to {
		all = append(all, desc)
	}
	return all
}

// expressions are all that Prometheus is asked, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, r := range alerts(t) {
		all["alert "+name] = r.Expr
	}
	// What Grafana puts in place of its variables.
	filled := strings.NewReplacer("$__rate_interval", "5m", "$node", ".*")
	for _, panel := range dashboard(t).Panels {
		for _, target := range panel.Targets {
			all["panel "+panel.Title+": "+target.Expr] = filled.Replace(target.Expr)
		}
	}
	return all
}

// Grafana refuses panels of one number, and draws those over each other that share a place.
func TestPanels(t *testing.T) {
	b := dashboard(t)
	if b.UID == "" || len(b.Templating.List) != 2 {
		t.Errorf("the dashboard has uid %q and variables %v", b.UID, b.Templating.List)
	}
	numbers, taken := map[int]bool{}, map[[2]int]string{}
	for _, panel := range b.Panels {
		if numbers[panel.ID] || panel.ID == 0 {
			t.Errorf("%s has the number %d", panel.Title, panel.ID)
		}
		numbers[panel.ID] = true
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("%s asks for nothing", panel.Title)
		}
		if panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("%s does not fit the page", panel.Title)
		}
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				place := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if other, ok := taken[place]; ok {
					t.Fatalf("%s covers %s", panel.Title, other)
				}
				taken[place] = panel.Title
			}
		}
	}
}

// Each alert says what it is about, how soon somebody must look, and links a page that exists.
func TestAlertsLinkRunbooks(t *testing.T) {
	const pages = "https://github.com/apptier/apptier/blob/main/"
	all := alerts(t)
	if len(all) < 15 {
		t.Errorf("only %d alerts", len(all))
	}
	for name, r := range all {
		page, ok := strings.CutPrefix(r.Annotations["runbook_url"], pages)
		if _, err := os.Stat(root + "/" + page); !ok || err != nil {
			t.Errorf("%s links %s: %v", name, r.Annotations["runbook_url"], err)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s does not say what it is about", name)
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" && s != "info" {
			t.Errorf("%s has the severity %q", name, s)
		}
	}
}
