// Package monitoring tries the alerts and the dashboard that "make generate" writes.
package monitoring

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	root       = "../.."
	components = root + "/config/components/"
)

// rule is an alert as Prometheus reads it.
type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// groups are what a file of rules holds.
type groups struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

// rulesOf reads the rules of a component.
func rulesOf(t *testing.T, component string) groups {
	t.Helper()
	var object struct{ Spec groups }
	read(t, components+component+"/rules.yaml", &object)
	return object.Spec
}

// alerts are all, by their names.
func alerts(t *testing.T) map[string]rule {
	t.Helper()
	all := map[string]rule{}
	for _, component := range []string{"alerts", "enforcer-alerts"} {
		for _, group := range rulesOf(t, component).Groups {
			for _, r := range group.Rules {
				if _, twice := all[r.Alert]; twice {
					t.Errorf("two alerts are called %s", r.Alert)
				}
				all[r.Alert] = r
			}
		}
	}
	return all
}

// board is what is read of a dashboard.
type board struct {
	UID        string `json:"uid"`
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Query any    `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID      int    `json:"id"`
		Type    string `json:"type"`
		Title   string `json:"title"`
		GridPos struct{ X, Y, W, H int }
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

func dashboard(t *testing.T) board {
	t.Helper()
	var object struct{ Data map[string]string }
	read(t, components+"dashboard/dashboard.yaml", &object)
	var b board
	if err := json.Unmarshal([]byte(object.Data["apptier.json"]), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
}
