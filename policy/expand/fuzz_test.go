package expand_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	lintworld "github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/model"
)

// Whatever an AppTier says, it can be expanded: what is not understood is left out. If lint accepts it,
// its policies are what the API server takes, with or without the AppTier and the Service that it refers to.
func FuzzExpand(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "../lint/apptier/testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if !strings.HasSuffix(file, ".golden.yaml") {
				f.Add(text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var app v1alpha1.AppTier
		if yaml.Unmarshal(text, &app) != nil {
			return
		}
		app.Namespace = "default" // which the API server sees to
		env := expand.DefaultEnvironment()
		refused := len(check.WithSeverity(lint.AppTier(&app), check.Reject)) > 0
		for range 2 {
			for _, policy := range expand.NetworkPolicies(&app, env) {
				for _, finding := range lint.NetworkPolicy(policy, lintworld.World{}) {
					if finding.Check == netpol.Invalid && !refused {
						t.Errorf("%s: %s", policy.Name, finding)
					}
				}
			}
			env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
			env.Services = map[types.NamespacedName]expand.Service{}
			for _, key := range model.ReferencesOf(&app).AppTiers {
				env.AppTiers[key] = &app
			}
			for _, key := range model.ReferencesOf(&app).Services {
				env.Services[key] = expand.Service{PodSelector: map[string]string{"app": "web"}, TargetPorts: []model.Port{{Protocol: "TCP", Start: 80, End: 80}}}
			}
		}
	})
}
