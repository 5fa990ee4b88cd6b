package docs

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// What the page about a cluster lists is what the first page's AppTier becomes.
func TestPoliciesOfTheFirstPage(t *testing.T) {
	var app v1alpha1.AppTier
	for _, b := range read(t, root+"/docs/start/plugin.md").blocks {
		if b.File() == "shop.yaml" {
			if err := yaml.UnmarshalStrict([]byte(b.Text), &app); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := os.ReadFile(root + "/docs/start/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	policies := expand.NetworkPolicies(&app, expand.DefaultEnvironment())
	if len(policies) != 3 {
		t.Fatalf("there are %d policies", len(policies))
	}
	for _, policy := range policies {
		if !strings.Contains(string(text), "\n"+policy.Name+" ") {
			t.Errorf("the page does not list %s", policy.Name)
		}
	}
}
