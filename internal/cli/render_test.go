package cli_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// What is rendered is what the manager applies: the same function makes both.
func TestRenderPrintsWhatTheManagerApplies(t *testing.T) {
	text, err := os.ReadFile("testdata/input/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var app v1alpha1.AppTier
	if err := yaml.UnmarshalStrict(text, &app); err != nil {
		t.Fatal(err)
	}
	// The API server fills the defaults in before the manager sees the object.
	app.Spec.Mode = v1alpha1.Enforce
	app.Spec.Isolation = v1alpha1.Isolation{Scope: v1alpha1.ScopeTiers, SameNamespace: v1alpha1.SameNamespaceDeny}
	app.Spec.DNS = v1alpha1.DNS{Mode: v1alpha1.DNSClusterDNS, NodeLocal: v1alpha1.NodeLocalAuto}
	for i := range app.Spec.Tiers {
		app.Spec.Tiers[i].Isolate = []v1alpha1.Direction{v1alpha1.Ingress, v1alpha1.Egress}
		for j := range app.Spec.Tiers[i].Ports {
			app.Spec.Tiers[i].Ports[j].Protocol = "TCP"
		}
	}
	var want bytes.Buffer
	printer := &printers.YAMLPrinter{}
	for _, policy := range expand.NetworkPolicies(&app, expand.DefaultEnvironment()) {
		if err := printer.PrintObj(policy, &want); err != nil {
			t.Fatal(err)
		}
	}
	got, stderr, code := run(t, string(text), "render", "-f", "-")
	if code != 0 || stderr != "" {
		t.Fatalf("exits with %d: %s", code, stderr)
	}
	if diff := cmp.Diff(want.String(), got); diff != "" {
		t.Errorf("differs (-applied +rendered):\n%s", diff)
	}
}
